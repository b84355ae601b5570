package xdspool

import (
	"slices"
	"testing"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	xdstype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// differing are the aspects of a resource that differ from another's.
func differing(t *testing.T, of typ, a, b *discovery.Resource) []aspect {
	t.Helper()
	marks := func(r *discovery.Resource) []mark {
		body, err := proto.Marshal(r.Resource)
		if err != nil {
			t.Fatal(err)
		}
		f, err := scanContent(of, body)
		if err != nil {
			t.Fatal(err)
		}
		return f.marks
	}
	var out []aspect
	add := func(x, y []mark) {
		for _, m := range x {
			if !slices.Contains(y, m) && !slices.Contains(out, m.aspect()) {
				out = append(out, m.aspect())
			}
		}
	}
	add(marks(a), marks(b))
	add(marks(b), marks(a))
	slices.Sort(out)
	return out
}

func filter(name string, m proto.Message) *listener.Filter {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return &listener.Filter{Name: name, ConfigType: &listener.Filter_TypedConfig{TypedConfig: a}}
}

func httpFilter(name string, m proto.Message) *hcm.HttpFilter {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return &hcm.HttpFilter{Name: name, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: a}}
}

// text is something that a filter's configuration may be.
func text(s string) proto.Message { return wrapperspb.String(s) }

// chain is a filter chain of an inbound listener, for a port unless that is 0.
func chain(port uint32, mtls bool) *listener.FilterChain {
	c := &listener.FilterChain{FilterChainMatch: &listener.FilterChainMatch{TransportProtocol: "raw_buffer"}}
	if port > 0 {
		c.FilterChainMatch.DestinationPort = wrapperspb.UInt32(port)
	}
	if mtls {
		c.FilterChainMatch.TransportProtocol = "tls"
		c.TransportSocket = &core.TransportSocket{Name: "envoy.transport_sockets.tls"}
	}
	return c
}

func chains(name string, all ...*listener.FilterChain) *discovery.Resource {
	return pack(name, &listener.Listener{Name: name, FilterChains: all})
}

func filters(name string, all ...*listener.Filter) *discovery.Resource {
	return chains(name, &listener.FilterChain{Filters: all})
}

func domains(name string, all ...string) *discovery.Resource {
	return pack(name, &route.RouteConfiguration{Name: name, VirtualHosts: []*route.VirtualHost{{Name: "h", Domains: all}}})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	permissive := []*listener.FilterChain{chain(0, true), chain(0, false)}
	port := func(n uint32, modes ...bool) []*listener.FilterChain {
		out := slices.Clone(permissive)
		for _, m := range modes {
			out = append(out, chain(n, m))
		}
		return out
	}
	logs := func(name string) []*accesslog.AccessLog { return []*accesslog.AccessLog{{Name: name}} }
	for name, c := range map[string]struct {
		typ  typ
		a, b *discovery.Resource
		want []aspect
	}{
		"strict":               {lds, chains(inboundListener, permissive...), chains(inboundListener, chain(0, true)), []aspect{aspectInbound}},
		"disabled":             {lds, chains(inboundListener, permissive...), chains(inboundListener, chain(0, false)), []aspect{aspectInbound}},
		"a service more":       {lds, chains(inboundListener, permissive...), chains(inboundListener, port(80, false, true)...), nil},
		"a port of its own":    {lds, chains(inboundListener, permissive...), chains(inboundListener, port(80, false)...), []aspect{aspectInbound}},
		"another listener":     {lds, chains("0.0.0.0_80", permissive...), chains("0.0.0.0_80", chain(0, true)), []aspect{aspectChains}},
		"tokens":               {lds, filters("x", filter("m", &hcm.HttpConnectionManager{})), filters("x", filter("m", &hcm.HttpConnectionManager{HttpFilters: []*hcm.HttpFilter{httpFilter(jwtFilter, text("a"))}})), []aspect{aspectJWT}},
		"another filter":       {lds, filters("x", filter("m", &hcm.HttpConnectionManager{})), filters("x", filter("m", &hcm.HttpConnectionManager{HttpFilters: []*hcm.HttpFilter{httpFilter("lua", text("a"))}})), nil},
		"statistics":           {lds, filters("x", filter("m", &hcm.HttpConnectionManager{})), filters("x", filter("m", &hcm.HttpConnectionManager{HttpFilters: []*hcm.HttpFilter{httpFilter(statsFilter, text("a"))}})), []aspect{aspectTelemetry}},
		"statistics of TCP":    {lds, filters("x", filter(statsFilter, text("a"))), filters("x", filter(statsFilter, text("b"))), []aspect{aspectTelemetry}},
		"tracing":              {lds, filters("x", filter("m", &hcm.HttpConnectionManager{})), filters("x", filter("m", &hcm.HttpConnectionManager{Tracing: &hcm.HttpConnectionManager_Tracing{RandomSampling: &xdstype.Percent{Value: 3}}})), []aspect{aspectTelemetry}},
		"log of HTTP":          {lds, filters("x", filter("m", &hcm.HttpConnectionManager{})), filters("x", filter("m", &hcm.HttpConnectionManager{AccessLog: logs("a")})), []aspect{aspectTelemetry}},
		"log of TCP":           {lds, filters("x", filter("m", &tcpproxy.TcpProxy{})), filters("x", filter("m", &tcpproxy.TcpProxy{AccessLog: logs("a")})), []aspect{aspectTelemetry}},
		"log of the listener":  {lds, pack("x", &listener.Listener{Name: "x"}), pack("x", &listener.Listener{Name: "x", AccessLog: logs("a")}), []aspect{aspectTelemetry}},
		"other traffic":        {lds, filters(outboundListener, passthrough("a")), filters(outboundListener, passthrough("b")), []aspect{aspectOutbound}},
		"traffic to a service": {lds, filters("x", passthrough("a")), filters("x", passthrough("b")), nil},
		"a gateway's hosts":    {rds, domains("http.8080", "a"), domains("http.8080", "b"), []aspect{aspectDomains}},
		"hosts with TLS":       {rds, domains("https.443.p.g.ns", "a"), domains("https.443.p.g.ns", "b"), []aspect{aspectDomains}},
		"a sidecar's hosts":    {rds, domains("8080", "a"), domains("8080", "b"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := differing(t, c.typ, c.a, c.b); !slices.Equal(got, c.want) {
				t.Errorf("aspects that differ: %v, want %v", got, c.want)
			}
		})
	}
}

func passthrough(cluster string) *listener.Filter {
	return filter("tcp", &tcpproxy.TcpProxy{ClusterSpecifier: &tcpproxy.TcpProxy_Cluster{Cluster: cluster}})
}
