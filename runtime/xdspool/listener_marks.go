package xdspool

import (
	"slices"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// aspect is what a kind of objects shapes in the resources of one type.
type aspect uint8

const (
	aspectAll   aspect = iota // everything
	aspectNames               // which resources there are

	// Those below are told by marks, of which each listener or route configuration has some.

	aspectInbound   // which traffic a sidecar takes, and how: the filter chains of its inbound listener
	aspectOutbound  // where a sidecar sends what it does not know: its outbound listener
	aspectChains    // the filter chains of the other listeners: ports, server names, certificates
	aspectJWT       // the tokens that are asked for
	aspectTelemetry // access logs, tracing, statistics
	aspectDomains   // for which hosts a gateway has routes
)

// mark is a hash of a part of a resource, with its aspect in the low bits. A listener of each of a hundred services has the
// same ones, so that services that come and go change no aspect but their own.
type mark uint64

const aspectBits = 3

func markOf(a aspect, sum uint64) mark { return mark(sum<<aspectBits | uint64(a)) }

func (m mark) aspect() aspect { return aspect(m & (1<<aspectBits - 1)) }

func (f *facts) mark(a aspect, parts ...[]byte) {
	var sum uint64
	for _, b := range parts {
		sum = sum*31 + xxhash.Sum64(b)
	}
	f.marks = append(f.marks, markOf(a, sum))
}

// Names of listeners (Istio pilot/pkg/model VirtualInboundListenerName, VirtualOutboundListenerName) and filters that
// marks are about.
const (
	inboundListener  = "virtualInbound"
	outboundListener = "virtualOutbound"
	jwtFilter        = "envoy.filters.http.jwt_authn"
	statsFilter      = "istio.stats"
)

// Field numbers of what holds marks: envoy.config.listener.v3.Listener, FilterChain, FilterChainMatch, the HTTP connection
// manager and the TCP proxy.
const (
	listenerName       = 1
	listenerAccessLog  = 22
	chainMatch         = 1
	matchPort          = 8
	managerTracing     = 7
	managerAccessLog   = 13
	tcpProxyCluster    = 2
	tcpProxyAccessLog  = 5
	tcpProxyURL        = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
	routeName          = 1
	routeVirtualHosts  = 2
	virtualHostDomains = 2
)

// chainMarks notes how a filter chain of a listener takes traffic.
func (f *facts) chainMarks(listener, b []byte) error {
	var match, socket []byte
	err := eachField(b, func(x field) error {
		if x.kind == protowire.BytesType && x.num == chainMatch {
			match = x.bytes
		}
		if x.kind == protowire.BytesType && x.num == chainTransportSocket {
			socket = x.bytes
		}
		return nil
	})
	if err != nil || string(listener) != inboundListener {
		f.mark(aspectChains, match, socket)
		return err
	}
	port, err := message(match, matchPort)
	if f.inbound == nil {
		f.inbound = map[string]security{}
	}
	if socket != nil {
		f.inbound[string(port)] |= takesMTLS
	} else {
		f.inbound[string(port)] |= takesOther
	}
	return err
}

// security is what a port of a sidecar takes, as PeerAuthentications decide: STRICT ones, DISABLE, or with both bits
// PERMISSIVE (Istio pilot/pkg/networking/core getFilterChainMatchOptions).
type security uint8

const (
	takesMTLS security = 1 << iota
	takesOther
)

// inboundMarks notes what a sidecar takes on the ports that no service has, and which others differ from that: services that
// come and go are no change of it.
func (f *facts) inboundMarks() {
	other := f.inbound[""]
	for port, s := range f.inbound {
		if port == "" || s != other {
			f.mark(aspectInbound, []byte(port), []byte{byte(s)})
		}
	}
	f.inbound = nil
}

// managerMarks notes what a field of an HTTP connection manager is about, if it is an aspect.
func (f *facts) managerMarks(x field) error {
	switch x.num {
	case managerTracing, managerAccessLog:
		f.mark(aspectTelemetry, x.bytes)
	case managerHTTPFilters:
		return f.filterMarks(x.bytes)
	}
	return nil
}

// filterMarks notes what a filter is about.
func (f *facts) filterMarks(b []byte) error {
	name, err := message(b, filterName)
	switch string(name) {
	case jwtFilter:
		f.mark(aspectJWT, b)
	case statsFilter:
		f.mark(aspectTelemetry, b)
	}
	return err
}

// tcpProxyMarks notes what a TCP proxy is about; config is its Any.
func (f *facts) tcpProxyMarks(listener, config []byte) error {
	proxy, err := message(config, anyValue)
	if err != nil {
		return err
	}
	return eachField(proxy, func(x field) error {
		switch {
		case x.kind != protowire.BytesType:
		case x.num == tcpProxyAccessLog:
			f.mark(aspectTelemetry, x.bytes)
		case x.num == tcpProxyCluster && string(listener) == outboundListener:
			f.mark(aspectOutbound, x.bytes)
		}
		return nil
	})
}

// routes notes the hosts of a gateway's route configuration. A sidecar's, of which each may have thousands, are nobody's
// aspect.
func (f *facts) routes(b []byte) error {
	name, err := message(b, routeName)
	if err != nil || !gatewayRoute(name) {
		return err
	}
	return eachMessage(b, routeVirtualHosts, func(host []byte) error {
		return eachMessage(host, virtualHostDomains, func(domain []byte) error {
			f.mark(aspectDomains, domain)
			return nil
		})
	})
}

// gatewayRoute reports whether a route configuration is a gateway's: "http.8080", "https.443.port.gateway.namespace" (Istio
// pilot/pkg/model gatewayRDSRouteName).
func gatewayRoute(name []byte) bool {
	s := string(name)
	return len(s) > 5 && s[:4] == "http" && (s[4] == '.' || s[4] == 's' && s[5] == '.')
}

// sortMarks leaves each mark once.
func (f *facts) sortMarks() {
	slices.Sort(f.marks)
	f.marks = slices.Clip(slices.Compact(f.marks))
}
