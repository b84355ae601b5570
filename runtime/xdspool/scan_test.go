package xdspool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// seen is facts in a form that can be compared and read.
type seen struct {
	Refs []string
	IPs  []string
}

func (f facts) seen() seen {
	var s seen
	for _, r := range f.refs {
		s.Refs = append(s.Refs, r.typ.String()+" "+string(r.name))
	}
	for _, a := range f.ips {
		s.IPs = append(s.IPs, netip.AddrFrom16(a).Unmap().String())
	}
	slices.Sort(s.IPs)
	return s
}

// unmarshalled finds the same as scanContent, by way of the generated types.
func unmarshalled(t *testing.T, a *anypb.Any) seen {
	t.Helper()
	m, err := a.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	var s seen
	switch m := m.(type) {
	case *cluster.Cluster:
		if m.GetType() == cluster.Cluster_EDS {
			name := m.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = m.Name
			}
			s.Refs = append(s.Refs, "EDS "+name)
		}
	case *endpoint.ClusterLoadAssignment:
		for _, l := range m.Endpoints {
			for _, e := range l.LbEndpoints {
				s.endpoint(e)
			}
		}
	case *listener.Listener:
		for _, c := range append(slices.Clone(m.FilterChains), m.DefaultFilterChain) {
			for _, f := range c.GetFilters() {
				if f.GetConfigDiscovery() != nil {
					s.Refs = append(s.Refs, "ECDS "+f.Name)
				}
				s.manager(t, f.GetTypedConfig())
			}
		}
		for _, f := range m.ListenerFilters {
			if f.GetConfigDiscovery() != nil {
				s.Refs = append(s.Refs, "ECDS "+f.Name)
			}
		}
		s.manager(t, m.GetApiListener().GetApiListener())
	}
	slices.Sort(s.IPs)
	slices.SortFunc(s.Refs, func(a, b string) int { // RDS before ECDS, as the types are numbered
		if c := len(a[:4]) - len(b[:4]); c != 0 {
			return c
		}
		if a[0] != b[0] {
			return int(b[0]) - int(a[0])
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	s.IPs, s.Refs = slices.Compact(s.IPs), slices.Compact(s.Refs)
	return s
}

func (s *seen) endpoint(e *endpoint.LbEndpoint) {
	if h := e.HealthStatus; h == core.HealthStatus_UNHEALTHY || h == core.HealthStatus_DRAINING || h == core.HealthStatus_TIMEOUT {
		return
	}
	a := e.GetEndpoint().GetAddress()
	host := a.GetSocketAddress().GetAddress()
	if id := a.GetEnvoyInternalAddress().GetEndpointId(); id != "" {
		host, _, _ = net.SplitHostPort(id)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		s.IPs = append(s.IPs, addr.Unmap().String())
	}
}

func (s *seen) manager(t *testing.T, a *anypb.Any) {
	if a.GetTypeUrl() != connectionManagerURL {
		return
	}
	m := &hcm.HttpConnectionManager{}
	if err := a.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	if r := m.GetRds(); r != nil {
		s.Refs = append(s.Refs, "RDS "+r.RouteConfigName)
	}
	for _, f := range m.HttpFilters {
		if f.GetConfigDiscovery() != nil {
			s.Refs = append(s.Refs, "ECDS "+f.Name)
		}
	}
}

func must(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

func randomCluster(r *rand.Rand) *anypb.Any {
	c := &cluster.Cluster{
		Name:                 fmt.Sprintf("c%d", r.IntN(9)),
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_DiscoveryType(r.IntN(5))},
		AltStatName:          "noise",
	}
	if r.IntN(2) == 0 {
		c.EdsClusterConfig = &cluster.Cluster_EdsClusterConfig{EdsConfig: &core.ConfigSource{}}
		if r.IntN(2) == 0 {
			c.EdsClusterConfig.ServiceName = fmt.Sprintf("s%d", r.IntN(9))
		}
	}
	return must(c)
}

func randomAssignment(r *rand.Rand) *anypb.Any {
	hosts := []string{"10.0.0.1", "10.0.0.2", "fd00::1", "::ffff:10.0.0.3", "a.dns.name", ""}
	m := &endpoint.ClusterLoadAssignment{ClusterName: "c"}
	for range r.IntN(4) {
		l := &endpoint.LocalityLbEndpoints{Locality: &core.Locality{Zone: "z"}, LoadBalancingWeight: wrapperspb.UInt32(3)}
		for range r.IntN(5) {
			host := hosts[r.IntN(len(hosts))]
			e := lbEndpointAt(socket(host))
			if r.IntN(3) == 0 {
				e = lbEndpointAt(&core.Address{Address: &core.Address_EnvoyInternalAddress{EnvoyInternalAddress: &core.EnvoyInternalAddress{
					AddressNameSpecifier: &core.EnvoyInternalAddress_ServerListenerName{ServerListenerName: "connect_originate"},
					EndpointId:           net.JoinHostPort(host, "8080"),
				}}})
			}
			e.HealthStatus = core.HealthStatus(r.IntN(6))
			l.LbEndpoints = append(l.LbEndpoints, e)
		}
		m.Endpoints = append(m.Endpoints, l)
	}
	return must(m)
}

func randomManager(r *rand.Rand) *anypb.Any {
	m := &hcm.HttpConnectionManager{StatPrefix: "p"}
	if r.IntN(3) > 0 {
		m.RouteSpecifier = &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: &core.ConfigSource{}, RouteConfigName: fmt.Sprintf("r%d", r.IntN(5))}}
	}
	for i := range r.IntN(3) {
		f := &hcm.HttpFilter{Name: fmt.Sprintf("h%d", i)}
		if r.IntN(2) == 0 {
			f.ConfigType = &hcm.HttpFilter_ConfigDiscovery{ConfigDiscovery: &core.ExtensionConfigSource{}}
		}
		m.HttpFilters = append(m.HttpFilters, f)
	}
	return must(m)
}

func randomListener(r *rand.Rand) *anypb.Any {
	chain := func() *listener.FilterChain {
		c := &listener.FilterChain{}
		for i := range r.IntN(3) {
			f := &listener.Filter{Name: fmt.Sprintf("n%d", i)}
			switch r.IntN(4) {
			case 0:
				f.ConfigType = &listener.Filter_ConfigDiscovery{ConfigDiscovery: &core.ExtensionConfigSource{}}
			case 1:
				f.ConfigType = &listener.Filter_TypedConfig{TypedConfig: randomCluster(r)} // of another type
			default:
				f.ConfigType = &listener.Filter_TypedConfig{TypedConfig: randomManager(r)}
			}
			c.Filters = append(c.Filters, f)
		}
		return c
	}
	l := &listener.Listener{Name: "l", Address: socket("0.0.0.0")}
	for range r.IntN(4) {
		l.FilterChains = append(l.FilterChains, chain())
	}
	if r.IntN(2) == 0 {
		l.DefaultFilterChain = chain()
	}
	if r.IntN(2) == 0 {
		l.ListenerFilters = []*listener.ListenerFilter{{Name: "lf", ConfigType: &listener.ListenerFilter_ConfigDiscovery{ConfigDiscovery: &core.ExtensionConfigSource{}}}}
	}
	if r.IntN(4) == 0 {
		l.ApiListener = &listener.ApiListener{ApiListener: randomManager(r)}
	}
	return must(l)
}

// TestScanFindsWhatUnmarshalFinds compares the scanner with the generated types on random resources.
func TestScanFindsWhatUnmarshalFinds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	makers := map[typ]func(*rand.Rand) *anypb.Any{cds: randomCluster, eds: randomAssignment, lds: randomListener}
	for of, random := range makers {
		for i := range 2000 {
			a := random(r)
			body, err := proto.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			got, err := scanContent(of, body)
			if err != nil {
				t.Fatalf("%s %d: %v", of, i, err)
			}
			if d := cmp.Diff(unmarshalled(t, a), got.seen()); d != "" {
				t.Fatalf("%s %d (-unmarshalled +scanned):\n%s\n%v", of, i, d, a)
			}
		}
	}
}

func TestScanResponse(t *testing.T) {
	t.Parallel()
	res := edsCluster(edsA)
	res.Version, res.Aliases = "7", []string{"alias"}
	b, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{
		SystemVersionInfo: "sys", TypeUrl: cds.url(), Nonce: "n", Resources: []*discovery.Resource{res, staticCluster("s")},
		RemovedResources: []string{"x", "y"}, ControlPlane: &core.ControlPlane{Identifier: "id"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := response{removed: [][]byte{{1}}, sums: []uint64{3}} // used before
	if err := r.scan(b, false); err != nil {
		t.Fatal(err)
	}
	if string(r.typeURL) != cds.url() || string(r.nonce) != "n" || len(r.raw) != 2 || len(r.sums) != 2 || len(r.removed) != 2 {
		t.Errorf("got %+v", r)
	}
	first, err := r.resource(0)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := proto.MarshalOptions{Deterministic: true}.Marshal(res.Resource)
	if string(first.name) != edsA || string(first.version) != "7" || !bytes.Equal(first.body, body) {
		t.Errorf("got %q %q", first.name, first.version)
	}
	if len(first.aliases) != 1 || string(first.aliases[0]) != "alias" {
		t.Errorf("aliases %q", first.aliases)
	}
	for cut := range b {
		if r.scan(b[:cut], false) == nil { // must not panic
			readable(&r)
		}
	}
}

func TestBaseHost(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"outbound|80||a.ns.svc.cluster.local":           "a.ns.svc.cluster.local",
		"outbound|80|v1|a.ns.svc.cluster.local":         "",
		"outbound_.80_._.a.ns.svc.cluster.local":        "a.ns.svc.cluster.local",
		"outbound_.80_.v1_.a.ns.svc.cluster.local":      "",
		"inbound-vip|80|http|a.ns.svc.cluster.local":    "a.ns.svc.cluster.local",
		"inbound-vip|80|http/v1|a.ns.svc.cluster.local": "",
		"local_cluster":         "",
		"":                      "",
		"outbound|80||a|b":      "",
		"|":                     "",
		"outbound|80":           "",
		"outbound_.80_._.a_.bc": "",
	} {
		if got := baseHost(name); got != want {
			t.Errorf("baseHost(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzScan looks for panics, and for memory that grows with what a length says and not with what is there.
func FuzzScan(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for of, random := range []func(*rand.Rand) *anypb.Any{randomCluster, randomAssignment, randomListener} {
		b, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{
			TypeUrl: typ(of).url(), Nonce: "n", Resources: []*discovery.Resource{{Name: "r", Resource: random(r)}},
		})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(of), b)
	}
	f.Add(uint8(wds), binary.AppendUvarint([]byte{0x12}, 1<<40))
	f.Add(uint8(eds), bytes.Repeat([]byte{0x12, 0x02}, 100))
	f.Fuzz(func(t *testing.T, of uint8, b []byte) {
		state := of >= 128
		of %= numTypes
		_, _ = scanContent(typ(of), b)
		var r response
		err := r.scan(b, state)
		if len(r.raw)+len(r.removed) > len(b) {
			t.Fatalf("%d resources in %d bytes", len(r.raw), len(b))
		}
		if err != nil {
			return
		}
		s := newStore()
		c := newClient(s)
		c.types[of].active = true
		a := applier{store: s}
		if _, err := a.apply(c, typ(of), &r); err != nil && len(s.contentIndex) > 0 {
			t.Fatalf("a refused response left %d contents", len(s.contentIndex))
		}
		for i := range c.types {
			s.release(c.types[i].table)
		}
		if len(s.nameIndex)+len(s.contentIndex)+len(s.hosts) > 0 {
			t.Fatalf("left: %v %v", s.nameIndex, s.contentIndex)
		}
	})
}
