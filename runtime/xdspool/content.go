package xdspool

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// ip is an address in 16-byte form, v4 mapped into v6.
type ip [16]byte

// facts is all the pool ever reads in a resource.
type facts struct {
	refs []reference // the resources it refers to, sorted, each once
	ips  []ip        // the addresses that take traffic, sorted, each once

	marks   []mark              // sorted, each once
	inbound map[string]security // while a sidecar's inbound listener is read: by port, as it is on the wire
}

// reference names a resource of another type. The name points into the scanned bytes.
type reference struct {
	typ  typ
	name []byte
}

func (f *facts) refer(t typ, name []byte) error {
	if len(name) == 0 {
		return nil
	}
	if !utf8.Valid(name) {
		return fmt.Errorf("the name of a %s reference is not UTF-8", t)
	}
	f.refs = append(f.refs, reference{t, name})
	return nil
}

func compareReferences(a, b reference) int {
	return cmp.Or(cmp.Compare(a.typ, b.typ), bytes.Compare(a.name, b.name))
}

const anyValue = 2

// scanContent reads body, the Any of a resource of type t.
func scanContent(t typ, body []byte) (facts, error) {
	var f facts
	value, err := message(body, anyValue)
	if err == nil {
		switch t {
		case cds:
			err = f.cluster(value)
		case eds:
			err = f.assignment(value)
		case lds:
			err = f.listener(value)
		case rds:
			err = f.routes(value)
		case wds:
			err = f.address(value)
		default:
			// Nothing in it is of interest, but it has to be a message, as a proxy would find out.
			err = eachField(value, func(field) error { return nil })
		}
	}
	if err != nil {
		return facts{}, fmt.Errorf("%s resource: %w", t, err)
	}
	slices.SortFunc(f.refs, compareReferences)
	f.refs = slices.CompactFunc(f.refs, func(a, b reference) bool { return compareReferences(a, b) == 0 })
	slices.SortFunc(f.ips, func(a, b ip) int { return bytes.Compare(a[:], b[:]) })
	f.ips = slices.Clip(slices.Compact(f.ips))
	f.inboundMarks()
	f.sortMarks()
	return f, nil
}

// Field numbers of envoy.config.cluster.v3.Cluster.
const (
	clusterName      = 1
	clusterType      = 2
	clusterEDSConfig = 3
	clusterSocket    = 24
	clusterMatches   = 43
	matchSocket      = 3
	edsServiceName   = 2
	clusterTypeEDS   = 3
)

// cluster finds the EDS resource of a cluster, service_name or else the cluster's own name (Envoy EdsClusterImpl), and its
// secrets.
func (f *facts) cluster(b []byte) error {
	var name, config []byte
	var kind uint64
	err := eachField(b, func(x field) (err error) {
		switch {
		case x.num == clusterSocket && x.kind == protowire.BytesType:
			err = f.transportSocket(x.bytes)
		case x.num == clusterMatches && x.kind == protowire.BytesType:
			err = eachMessage(x.bytes, matchSocket, f.transportSocket)
		case x.num == clusterName && x.kind == protowire.BytesType:
			name = x.bytes
		case x.num == clusterType && x.kind == protowire.VarintType:
			kind = x.varint
		case x.num == clusterEDSConfig && x.kind == protowire.BytesType:
			config = x.bytes
		}
		return err
	})
	if err != nil || kind != clusterTypeEDS {
		return err
	}
	service, err := message(config, edsServiceName)
	if err != nil {
		return fmt.Errorf("eds_cluster_config: %w", err)
	}
	if len(service) > 0 {
		name = service
	}
	return f.refer(eds, name)
}

// Field numbers of envoy.config.endpoint.v3.ClusterLoadAssignment and what it holds.
const (
	assignmentEndpoints = 2
	localityEndpoints   = 2
	lbEndpoint          = 1
	lbHealthStatus      = 2
	endpointAddress     = 1
	addressSocket       = 1
	addressInternal     = 3
	socketAddress       = 2
	internalEndpointID  = 2
)

// assignment finds the addresses of the endpoints that take traffic.
func (f *facts) assignment(b []byte) error {
	return eachMessage(b, assignmentEndpoints, func(locality []byte) error {
		return eachMessage(locality, localityEndpoints, f.endpoint)
	})
}

// endpoint reads an LbEndpoint. One that is UNHEALTHY, DRAINING or TIMEOUT (envoy.config.core.v3.HealthStatus 2 to 4)
// is no endpoint: istiod may keep it only so that open sessions can end.
func (f *facts) endpoint(b []byte) error {
	var address []byte
	var health uint64
	err := eachField(b, func(x field) (err error) {
		switch {
		case x.num == lbHealthStatus && x.kind == protowire.VarintType:
			health = x.varint
		case x.num == lbEndpoint && x.kind == protowire.BytesType:
			address, err = message(x.bytes, endpointAddress)
		}
		return err
	})
	if err != nil || (health >= 2 && health <= 4) {
		return err
	}
	return eachField(address, func(x field) error {
		switch {
		case x.num == addressSocket && x.kind == protowire.BytesType:
			host, err := message(x.bytes, socketAddress)
			f.addHost(string(host))
			return err
		case x.num == addressInternal && x.kind == protowire.BytesType:
			// A waypoint reaches its endpoints through an internal listener: the address is in the endpoint id as
			// "ip:port" (Istio pilot/pkg/networking/util GetEndpointHost).
			id, err := message(x.bytes, internalEndpointID)
			if host, _, splitErr := net.SplitHostPort(string(id)); splitErr == nil {
				f.addHost(host)
			}
			return err
		}
		return nil
	})
}

// addHost adds an address; a DNS name is none.
func (f *facts) addHost(host string) {
	if a, err := netip.ParseAddr(host); err == nil {
		f.ips = append(f.ips, a.As16())
	}
}

// Field numbers of istio.workload.Address and Workload.
const (
	addressWorkload   = 1
	workloadAddresses = 3
	workloadStatus    = 17
	statusUnhealthy   = 1
)

// address finds the addresses of a workload that takes traffic; a service has none of interest. A pod that is not
// ready stays in the index as UNHEALTHY (Istio pilot/pkg/serviceregistry/ambient/workloads.go).
func (f *facts) address(b []byte) error {
	workload, err := message(b, addressWorkload)
	if err != nil {
		return err
	}
	var status uint64
	err = eachField(workload, func(x field) error {
		switch {
		case x.num == workloadStatus && x.kind == protowire.VarintType:
			status = x.varint
		case x.num == workloadAddresses && x.kind == protowire.BytesType:
			a, ok := netip.AddrFromSlice(x.bytes)
			if !ok {
				return errors.New("a workload address is neither 4 nor 16 bytes")
			}
			f.ips = append(f.ips, a.As16())
		}
		return nil
	})
	if status == statusUnhealthy {
		f.ips = nil
	}
	return err
}
