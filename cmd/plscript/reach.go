package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
)

// reachTimeout is how long each step of the check may take.
const reachTimeout = 5 * time.Second

// unreachable is an istiod that cannot be talked to in the way that the flags say.
func (t *target) unreachable(err error) error { return fmt.Errorf("istiod at %s: %w", t.xds, err) }

// reach finds out whether anything speaks the protocol at istiod's address, before a run waits for streams that cannot
// come. Of several istiods one has to; it is told which do not, and the first that does is asked what one is enough for. The
// sandbox's own istiods are known to be there, and a run that only starts pods needs none.
func (r *session) reach(ctx context.Context) error {
	if r.target.box != nil || r.opt.live {
		return nil
	}
	addresses := r.target.addresses()
	failed := make([]error, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		one := &target{xds: address, auth: r.target.auth}
		all.Go(func() { failed[i] = one.reach(ctx) })
	}
	all.Wait()
	first := slices.Index(failed, nil)
	if first < 0 {
		return errors.Join(failed...)
	}
	r.target.xds = addresses[first]
	for _, err := range failed {
		if err != nil {
			fmt.Fprintf(r.stderr, "plscript: %v\n", err)
		}
	}
	return nil
}

// reach looks who is at the target's address.
func (t *target) reach(ctx context.Context) error {
	conn, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if secure(t.auth) {
		return nil
	}
	if err := checkPlaintext(conn); err != nil {
		return t.unreachable(err)
	}
	return nil
}

// dial connects to istiod; the connection is good for a short exchange.
func (t *target) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", t.xds)
	if err != nil {
		return nil, t.unreachable(explainDial(err))
	}
	if err := conn.SetDeadline(time.Now().Add(reachTimeout)); err != nil {
		return nil, errors.Join(t.unreachable(err), conn.Close())
	}
	return conn, nil
}

// welcome finds out whether istiod and the run's credentials fit each other.
func (r *session) welcome(ctx context.Context) error {
	if r.target.box != nil || r.auth == nil {
		return nil
	}
	creds, err := r.auth.Credentials(ctx, someProxy)
	switch {
	case apierrors.IsNotFound(err): // it has no ServiceAccount; those of the scenario's proxies may
		return nil
	case err != nil:
		return r.target.unreachable(explainCredentials(err))
	}
	if creds.TLS != nil {
		conn, err := r.target.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := tls.Client(conn, creds.TLS).HandshakeContext(ctx); err != nil {
			return r.target.unreachable(explainTLS(err))
		}
	}
	if err := checkWelcome(ctx, r.target.xds, creds); err != nil {
		return r.target.unreachable(err)
	}
	return nil
}

// someProxy is who the check says it is: what a plain stream says.
var someProxy = runtime.Proxy{Class: runtime.ClassClient, Namespace: "default", Name: "plscript-preflight", ServiceAccount: "default"}

func explainDial(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens there: name istiod's XDS port with --pilot-address, or forward it: kubectl -n istio-system port-forward deploy/istiod 15010 (%w)", err)
	case errors.As(err, &dns):
		return fmt.Errorf("there is no such host: name istiod's XDS port with --pilot-address (%w)", err)
	}
	return err
}

// The beginning of HTTP/2: the client's preface with empty settings (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// settingsFrame is the type of the frame that an HTTP/2 server sends first.
const settingsFrame = 4

var errSpeaksTLS = errors.New("the port does not speak plaintext gRPC. If it is istiod's secure port (15012), leave --auth away, or set it to jwt or mtls")

// checkPlaintext says hello over conn, and expects the settings that an HTTP/2 server sends first.
func checkPlaintext(conn net.Conn) error {
	if _, err := io.WriteString(conn, preface); err != nil {
		return err
	}
	head := make([]byte, 9)
	_, err := io.ReadFull(conn, head)
	switch {
	case bytes.HasPrefix(head, []byte("HTTP/1")):
		return errors.New("the port speaks HTTP/1: it is not istiod's XDS port, which is 15010 or 15012")
	case err == nil && head[3] == settingsFrame:
		return nil
	}
	return errSpeaksTLS
}

func explainTLS(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, new(tls.RecordHeaderError)):
		return fmt.Errorf("the port speaks no TLS: set --auth plaintext, or name istiod's secure port (15012) with --pilot-address (%w)", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the root certificate does not fit: istiod's certificate is signed by another; name the mesh's root with --root-cert (ConfigMap istio-ca-root-cert), or trust anybody with --insecure (%w)", err)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate is not istiod's; is this its address? --insecure trusts anybody (%w)", err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the port closes the connection when it is spoken to in TLS: set --auth plaintext, or name istiod's secure port (15012) with --pilot-address (%w)", err)
	}
	return err
}

func explainCredentials(err error) error {
	if status.Code(err) == codes.Unauthenticated {
		return refusedToken(err)
	}
	return err
}

func refusedToken(err error) error {
	return fmt.Errorf("the token does not fit: it has to be for audience %s, and from a cluster that istiod trusts (%w)", tokenAudience, err)
}

// checkWelcome opens a stream as a proxy does, and looks whether istiod refuses it for who it is. Any other failure, as
// that of an istiod with too many clients, is for the run to meet.
func checkWelcome(ctx context.Context, address string, creds xdspool.Credentials) error {
	transport := insecure.NewCredentials()
	if creds.TLS != nil {
		transport = credentials.NewTLS(creds.TLS)
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(transport), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for _, h := range creds.Header {
		ctx = metadata.AppendToOutgoingContext(ctx, h.Name, h.Value)
	}
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err == nil {
		err = stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: runtime.XDSTypes[0].URL, Node: &core.Node{
			Id: "sidecar~192.0.2.1~" + someProxy.Name + "." + someProxy.Namespace + "~" + someProxy.Namespace + ".svc.cluster.local",
			Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
				"NAMESPACE": structpb.NewStringValue(someProxy.Namespace), "SERVICE_ACCOUNT": structpb.NewStringValue(someProxy.ServiceAccount),
			}},
		}})
	}
	if err == nil || errors.Is(err, io.EOF) {
		_, err = stream.Recv()
	}
	if status.Code(err) == codes.Unauthenticated {
		return refusedToken(err)
	}
	return nil // a token of another ServiceAccount than the check's is denied, and may be good for the run's
}
