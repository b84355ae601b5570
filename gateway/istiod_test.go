package gateway

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// fakeIstiod answers subscriptions with what it holds, and pushes what is put into it, as istiod does.
type fakeIstiod struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	address string
	door    *door

	mu      sync.Mutex
	held    map[string]map[string]proto.Message // by type and name
	streams map[*fakeStream]bool
	nodes   []*core.Node
}

type fakeStream struct {
	discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	wanted map[string]map[string]bool // names by type; nil for all of it
	nonce  int
	acked  map[string]string
}

func startIstiod(t *testing.T) *fakeIstiod {
	t.Helper()
	f := &fakeIstiod{held: map[string]map[string]proto.Message{}, streams: map[*fakeStream]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address, f.door = l.Addr().String(), &door{Listener: l}
	server := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(server, f)
	go func() { _ = server.Serve(f.door) }() // ends when the test stops it
	t.Cleanup(server.Stop)
	return f
}

// door is a listener that breaks all connections while it is shut. A server that stops in its place would have to get its
// port again, which may be somebody's by then.
type door struct {
	net.Listener

	mu     sync.Mutex
	closed bool
	inside []net.Conn
}

// Accept implements [net.Listener].
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil || d.enter(c) {
			return c, err
		}
		_ = c.Close()
	}
}

func (d *door) enter(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.inside = append(d.inside, c)
	}
	return !d.closed
}

// shut breaks all connections and lets nobody in, until it is called with false.
func (d *door) shut(closed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = closed
	for _, c := range d.inside {
		_ = c.Close()
	}
	d.inside = nil
}

// DeltaAggregatedResources implements the service.
func (f *fakeIstiod) DeltaAggregatedResources(stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	s := &fakeStream{stream, map[string]map[string]bool{}, 0, map[string]string{}}
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.streams, s)
	}()
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := f.request(s, req); err != nil {
			return err
		}
	}
}

func (f *fakeIstiod) request(s *fakeStream, req *discovery.DeltaDiscoveryRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams[s] = true
	if req.Node != nil {
		f.nodes = append(f.nodes, req.Node)
	}
	if req.ResponseNonce != "" {
		s.acked[req.TypeUrl] = req.ResponseNonce
		return nil
	}
	byName := req.TypeUrl == routeType || req.TypeUrl == endpointType
	if !byName {
		s.wanted[req.TypeUrl] = nil
		return f.send(s, req.TypeUrl, f.names(req.TypeUrl), nil)
	}
	if s.wanted[req.TypeUrl] == nil {
		s.wanted[req.TypeUrl] = map[string]bool{}
	}
	for _, n := range req.ResourceNamesUnsubscribe {
		delete(s.wanted[req.TypeUrl], n)
	}
	for _, n := range req.ResourceNamesSubscribe {
		s.wanted[req.TypeUrl][n] = true
	}
	if len(req.ResourceNamesSubscribe) == 0 {
		return nil // istiod does not answer these
	}
	return f.send(s, req.TypeUrl, req.ResourceNamesSubscribe, nil)
}

func (f *fakeIstiod) names(t string) []string {
	var out []string
	for n := range f.held[t] {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (f *fakeIstiod) send(s *fakeStream, t string, names, removed []string) error {
	s.nonce++
	resp := &discovery.DeltaDiscoveryResponse{TypeUrl: t, Nonce: fmt.Sprint(s.nonce), RemovedResources: removed}
	for _, n := range names {
		m := f.held[t][n]
		if m == nil {
			continue
		}
		packed, err := anypb.New(m)
		if err != nil {
			return err
		}
		resp.Resources = append(resp.Resources, &discovery.Resource{Name: n, Resource: packed})
	}
	return s.Send(resp)
}

// put changes a resource and pushes it; nil removes it.
func (f *fakeIstiod) put(t *testing.T, typ, name string, m proto.Message) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[typ] == nil {
		f.held[typ] = map[string]proto.Message{}
	}
	var names, removed []string
	if m == nil {
		delete(f.held[typ], name)
		removed = []string{name}
	} else {
		f.held[typ][name] = m
		names = []string{name}
	}
	for s := range f.streams {
		wanted, ok := s.wanted[typ]
		if !ok || wanted != nil && !wanted[name] {
			continue
		}
		if err := f.send(s, typ, names, removed); err != nil {
			t.Log(err) // the stream is going
		}
	}
}

// httpListener is a plaintext listener whose routes have the given name.
func httpListener(t *testing.T, name, routes string) *listener.Listener {
	t.Helper()
	packed, err := anypb.New(&hcm.HttpConnectionManager{RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{RouteConfigName: routes}}})
	if err != nil {
		t.Fatal(err)
	}
	return &listener.Listener{Name: name, FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{
		{Name: "http", ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed}},
	}}}}
}

// answering is a route that answers by itself.
func answering(status uint32, text string, m *route.RouteMatch) *route.Route {
	if m == nil {
		m = &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}}
	}
	return &route.Route{Name: text, Match: m, Action: &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{
		Status: status, Body: &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: text}},
	}}}
}

// to is a route to a cluster.
func to(name string) *route.Route {
	return &route.Route{
		Name: "to " + name, Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
		Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: name}}},
	}
}

func virtualHost(name string, domains []string, routes ...*route.Route) *route.VirtualHost {
	return &route.VirtualHost{Name: name, Domains: domains, Routes: routes}
}

func edsCluster(name string) *cluster.Cluster {
	return &cluster.Cluster{Name: name, ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS}}
}

func endpoints(name string, ports ...int) *endpoint.ClusterLoadAssignment {
	out := &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{{}}}
	for _, p := range ports {
		out.Endpoints[0].LbEndpoints = append(out.Endpoints[0].LbEndpoints, &endpoint.LbEndpoint{
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: &core.Address{Address: &core.Address_SocketAddress{
				SocketAddress: &core.SocketAddress{Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(p)}},
			}}}},
		})
	}
	return out
}
