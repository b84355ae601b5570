package xdspool

import (
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	quic "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// onADS is a secret that comes over ADS, and fromAgent one that does not.
func onADS(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}}
}

func fromAgent(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_ApiConfigSource{ApiConfigSource: &core.ApiConfigSource{}},
	}}
}

func tlsSocket(m proto.Message) *core.TransportSocket {
	return &core.TransportSocket{Name: "tls", ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: must(m)}}
}

func tlsListener(name string, secrets ...string) *discovery.Resource {
	l := &listener.Listener{Name: name}
	for _, s := range secrets {
		common := &tlsv3.CommonTlsContext{TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{onADS(s)}}
		l.FilterChains = append(l.FilterChains, &listener.FilterChain{
			TransportSocket: tlsSocket(&tlsv3.DownstreamTlsContext{CommonTlsContext: common}),
		})
	}
	return pack(name, l)
}

func TestSecretsAreFoundWhereverTheyMayBe(t *testing.T) {
	t.Parallel()
	common := func(names ...string) *tlsv3.CommonTlsContext {
		return &tlsv3.CommonTlsContext{
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{onADS(names[0]), fromAgent("default")},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{ValidationContextSdsSecretConfig: onADS(names[1])},
			},
		}
	}
	plain := &tlsv3.CommonTlsContext{ValidationContextType: &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{ValidationContextSdsSecretConfig: onADS("v")}}
	for of, m := range map[typ]proto.Message{
		cds: &cluster.Cluster{
			TransportSocket: tlsSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: common("a", "b")}),
			TransportSocketMatches: []*cluster.Cluster_TransportSocketMatch{
				{Name: "m", TransportSocket: tlsSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: plain})},
			},
		},
		lds: &listener.Listener{
			FilterChains:       []*listener.FilterChain{{TransportSocket: tlsSocket(&tlsv3.DownstreamTlsContext{CommonTlsContext: common("a", "b")})}},
			DefaultFilterChain: &listener.FilterChain{TransportSocket: tlsSocket(&quic.QuicDownstreamTransport{DownstreamTlsContext: &tlsv3.DownstreamTlsContext{CommonTlsContext: plain}})},
		},
	} {
		body, err := proto.Marshal(must(m))
		if err != nil {
			t.Fatal(err)
		}
		f, err := scanContent(of, body)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"SDS a", "SDS b", "SDS v"}, f.seen().Refs); d != "" {
			t.Errorf("%s (-want +got):\n%s", of, d)
		}
	}
}

func TestSecretThatNeverComes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gw := sidecar("gw")
	gw.Class = runtime.ClassGateway
	f.Want(gw)
	s := f.server.accept(t)
	s.next(t, cds)
	s.push(t, cds, nil)
	s.next(t, lds)
	nonce := s.send(t, lds, resources{tlsListener("l", "kubernetes://a", "kubernetes://b")})
	s.names(t, sds, []string{"kubernetes://a", "kubernetes://b"}, nil)
	s.ack(t, lds, nonce)
	s.push(t, sds, resources{{Name: "kubernetes://a", Resource: &anypb.Any{TypeUrl: sds.url()}}})
	f.until(t, runtime.Readings{"xds.gateway.synced": int64(0), "xds.unanswered": int64(0), "xds.sds.resources": int64(1)})
	f.clock.Advance(secretPatience)
	f.until(t, runtime.Readings{"xds.gateway.synced": int64(1), "xds.gateway.unanswered": int64(1)})
	// It comes after all.
	s.push(t, sds, resources{{Name: "kubernetes://b", Resource: &anypb.Any{TypeUrl: sds.url()}}})
	s.push(t, lds, nil, "x")
	f.until(t, runtime.Readings{"xds.gateway.synced": int64(1)})
}

func TestWaypointSubscribesToWorkloads(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		f := newFixture(t, func(c *Config) { c.Fidelity = Fidelity{NoWorkloadDiscovery: off, SotW: true} }) // delta all the same
		wp := sidecar("wp")
		wp.Class = runtime.ClassWaypoint
		f.Want(wp)
		s := f.server.accept(t)
		s.next(t, cds)
		if !off {
			if req := s.next(t, workloads); len(req.ResourceNamesSubscribe) != 0 {
				t.Errorf("workloads by name: %v", req)
			}
			s.push(t, workloads, resources{workload("w1", "v1", "10.0.0.7", false)})
		}
		s.push(t, cds, nil)
		s.next(t, lds)
		s.push(t, lds, nil)
		f.until(t, runtime.Readings{"xds.waypoint.synced": int64(1)})
		s.end <- status.Error(codes.Unavailable, "restart")
		s = f.server.accept(t)
		s.next(t, cds)
		if !off {
			if got := s.next(t, workloads).InitialResourceVersions; got["w1"] != "v1" {
				t.Errorf("versions %v", got)
			}
		}
		s.next(t, lds)
	}
}

func TestAgentRequestsFollowTheFirstListenerRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := sidecar("p")
	p.Metadata, p.Probed = map[string]string{"DNS_CAPTURE": "true"}, true
	f.Want(p)
	s := f.server.accept(t)
	s.next(t, cds)
	s.push(t, cds, nil)
	for range 2 {
		s.next(t, lds)
		if req := s.next(t, nds); req.InitialResourceVersions != nil {
			t.Errorf("the agent sent versions: %v", req)
		}
		if req := <-s.in; req.TypeUrl != healthURL || req.ErrorDetail != nil || req.ResponseNonce != "" {
			t.Errorf("health report %v", req)
		}
		s.push(t, lds, nil)
		f.until(t, runtime.Readings{"xds.synced": int64(0)})
		s.push(t, nds, resources{{Name: "table", Resource: &anypb.Any{TypeUrl: nds.url()}}})
		s.end <- status.Error(codes.Unavailable, "restart")
		s = f.server.accept(t)
		s.next(t, cds)
	}
}

func TestNodeAlwaysAndExtensions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Fidelity = Fidelity{NodeAlways: true, Extensions: true} })
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	first := s.next(t, cds)
	s.send(t, cds, nil)
	ack := s.next(t, cds)
	if !proto.Equal(first.Node, ack.Node) || len(ack.GetNode().GetExtensions()) < 50 {
		t.Errorf("the ACK has the node %v", ack.Node)
	}
}

func TestNACKOnRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Fidelity.Refuse = map[string]float64{"lds": 1} })
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.next(t, cds)
	s.push(t, cds, nil)
	s.next(t, lds)
	nonce := s.send(t, lds, resources{httpListener("l", "80")})
	req := s.next(t, lds) // and no request for a route
	if req.ResponseNonce != nonce || req.ErrorDetail.GetCode() != int32(codes.Internal) {
		t.Errorf("got %v, want a NACK", req)
	}
	f.until(t, runtime.Readings{"xds.lds.nacks": int64(1), "xds.cds.nacks": int64(0), "xds.synced": int64(0)})
}

func TestTimesOfTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.next(t, cds)
	f.clock.Advance(2 * time.Second)
	nonce := s.send(t, cds, resources{edsCluster(edsA), edsCluster(edsB)})
	s.names(t, eds, []string{edsA, edsB}, nil)
	s.ack(t, cds, nonce)
	f.clock.Advance(time.Second)
	s.push(t, eds, resources{assignment(edsA)})
	f.until(t, runtime.Readings{"xds.eds.resources": int64(1)})
	f.clock.Advance(3 * time.Second)
	s.push(t, eds, resources{assignment(edsA), assignment(edsB)})
	f.until(t, runtime.Readings{"xds.eds.resources": int64(3), "pushes.wasted": int64(1), "pushes.unchanged": int64(0)})
	s.next(t, lds)
	s.push(t, eds, resources{assignment(edsA), assignment(edsB)})
	f.until(t, runtime.Readings{"pushes.wasted": int64(3), "pushes.unchanged": int64(1)})
	r := f.readings()
	for path, want := range map[string]time.Duration{
		"xds.cds.firstP50": 2 * time.Second, "xds.cds.syncP99": 2 * time.Second,
		"xds.eds.firstP99": time.Second, "xds.eds.syncP50": 4 * time.Second,
	} {
		if got, _ := r[path].(time.Duration); got < want*98/100 || got > want*102/100 {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
}
