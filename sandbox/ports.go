package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are the loopback ports of one sandbox.
type Ports struct {
	APIServer   int `json:"apiServer"`
	IstiodPorts     // of the first istiod
	// Replicas are those of the further istiods, if there are any.
	Replicas []IstiodPorts `json:"replicas,omitempty"`
}

// IstiodPorts are the loopback ports of one istiod.
type IstiodPorts struct {
	XDS        int `json:"xds"`        // plaintext gRPC
	SecureXDS  int `json:"secureXDS"`  // gRPC over TLS: XDS and certificates
	Webhook    int `json:"webhook"`    // HTTPS: injection and validation
	HTTP       int `json:"http"`       // readiness and debug pages
	Monitoring int `json:"monitoring"` // metrics, version and debug pages
}

// istiods lists the ports of all istiods, the first one's first.
func (p Ports) istiods() []IstiodPorts {
	return append([]IstiodPorts{p.IstiodPorts}, p.Replicas...)
}

// Ports are taken from below those that Linux gives to outgoing connections (ip_local_port_range begins at 32768): with
// thousands of clients on the loopback interface, a restarted istiod could otherwise find its port in use by a client of its own.
const (
	firstPort = 20000
	lastPort  = 32000
)

// choosePorts finds distinct ports that are free at this moment, for that many istiods. Someone may still take one before its server does; then the
// start is tried again with others.
func choosePorts(istiods int) (Ports, error) {
	p := Ports{Replicas: make([]IstiodPorts, max(0, istiods-1))}
	var held []net.Listener // until all are chosen, so that they differ
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	wanted := append([]*int{&p.APIServer}, p.fields()...)
	for i := range p.Replicas {
		wanted = append(wanted, p.Replicas[i].fields()...)
	}
	for _, port := range wanted {
		listener, err := listenSomewhere()
		if err != nil {
			return Ports{}, err
		}
		held = append(held, listener)
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func (p *IstiodPorts) fields() []*int {
	return []*int{&p.XDS, &p.SecureXDS, &p.Webhook, &p.HTTP, &p.Monitoring}
}

func listenSomewhere() (net.Listener, error) {
	var last error
	for range 200 {
		listener, err := net.Listen("tcp", loopback(firstPort+rand.IntN(lastPort-firstPort)))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, errors.Join(fmt.Errorf("no free port between %d and %d", firstPort, lastPort), last)
}

// loopback is the address of a port of this machine, as 127.0.0.1:PORT.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
