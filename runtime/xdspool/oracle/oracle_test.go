package oracle_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
	"github.com/plscript/plscript/runtime/xdspool/replay"
)

// clock is the wall's, but that it does not wait.
type clock struct{}

func (clock) Now() time.Time                                   { return time.Now() }
func (clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }
func (clock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d / 20)
	return t.C, func() { t.Stop() }
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func answer(t *testing.T, all map[string]proto.Message) *discovery.DeltaDiscoveryResponse {
	t.Helper()
	out := &discovery.DeltaDiscoveryResponse{}
	for name, m := range all {
		a := packed(t, m)
		out.TypeUrl = a.TypeUrl
		out.Resources = append(out.Resources, &discovery.Resource{Name: name, Resource: a})
	}
	return out
}

// gateway is the configuration of a gateway with one service, one route, one extension and two secrets, of which istiod
// refuses one.
func gateway(t *testing.T) *replay.Recording {
	t.Helper()
	secret := func(name string) *tlsv3.SdsSecretConfig {
		return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &core.ConfigSource{ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}}}}
	}
	manager := &hcm.HttpConnectionManager{
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{RouteConfigName: "http.80"}},
		HttpFilters: []*hcm.HttpFilter{{
			Name: "extension", ConfigType: &hcm.HttpFilter_ConfigDiscovery{ConfigDiscovery: &core.ExtensionConfigSource{}},
		}},
	}
	socket := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{secret("kubernetes://one"), secret("kubernetes://denied")},
	}}
	return &replay.Recording{Answers: []*discovery.DeltaDiscoveryResponse{
		answer(t, map[string]proto.Message{"c": &cluster.Cluster{
			Name: "c", ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
			EdsClusterConfig: &cluster.Cluster_EdsClusterConfig{ServiceName: "outbound|80||a.ns.svc.cluster.local"},
		}}),
		answer(t, map[string]proto.Message{"outbound|80||a.ns.svc.cluster.local": &endpoint.ClusterLoadAssignment{ClusterName: "x"}}),
		answer(t, map[string]proto.Message{"l": &listener.Listener{Name: "l", FilterChains: []*listener.FilterChain{{
			Filters:         []*listener.Filter{{Name: "http", ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed(t, manager)}}},
			TransportSocket: &core.TransportSocket{ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: packed(t, socket)}},
		}}}}),
		answer(t, map[string]proto.Message{"http.80": &route.RouteConfiguration{Name: "http.80"}}),
		answer(t, map[string]proto.Message{"kubernetes://one": &tlsv3.Secret{Name: "kubernetes://one"}}),
		answer(t, map[string]proto.Message{"extension": &core.TypedExtensionConfig{Name: "extension"}}),
	}}
}

// serve serves a recording and returns the address.
func serve(t *testing.T, r *replay.Recording) (*replay.Server, string) {
	t.Helper()
	s, err := replay.NewServer(r)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func url(short string) string {
	i := slices.IndexFunc(runtime.XDSTypes, func(t runtime.XDSType) bool { return t.Short == short })
	return runtime.XDSTypes[i].URL
}

func TestFetchFollowsReferences(t *testing.T) {
	t.Parallel()
	_, address := serve(t, gateway(t))
	got, err := oracle.Fetch(t.Context(), oracle.Request{
		Conn: dial(t, address), Node: &core.Node{Id: "n"}, Types: []string{url("cds"), url("lds")}, Clock: clock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for u, all := range got {
		for name := range all {
			names[u] += name + " "
		}
	}
	for short, want := range map[string]string{"eds": "outbound|80||a.ns.svc.cluster.local ", "rds": "http.80 ", "sds": "kubernetes://one ", "ecds": "extension "} {
		if names[url(short)] != want {
			t.Errorf("%s: %q, want %q", short, names[url(short)], want)
		}
	}
}

func TestFetchMissesWhatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for _, gone := range []string{"rds", "lds"} {
		r := gateway(t)
		r.Answers = slices.DeleteFunc(r.Answers, func(a *discovery.DeltaDiscoveryResponse) bool { return a.TypeUrl == url(gone) })
		_, address := serve(t, r)
		_, err := oracle.Fetch(t.Context(), oracle.Request{
			Conn: dial(t, address), Node: &core.Node{Id: "n"}, Types: []string{url("cds"), url("lds")}, Clock: clock{},
		})
		if err == nil || !strings.Contains(err.Error(), strings.ToUpper(gone)) {
			t.Errorf("without %s: %v", gone, err)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	held := oracle.Snapshot{url("cds"): {"same": 1, "stale": 2, "old": 3}, "other": {"x": 1}}
	fresh := oracle.Snapshot{url("cds"): {"same": 1, "stale": 4}, url("eds"): {"new": 5}}
	want := []oracle.Difference{
		{"ns/p", "CDS", "old", oracle.NeverRemoved}, {"ns/p", "CDS", "stale", oracle.Stale},
		{"ns/p", "EDS", "new", oracle.Lost}, {"ns/p", "other", "x", oracle.NeverRemoved},
	}
	if d := cmp.Diff(want, oracle.Compare("ns/p", held, fresh)); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
}

// notifier wakes who waits for a reading.
type notifier chan struct{}

func (n notifier) Notify() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// syncedGateway is a pool with one gateway, ns/gw, that holds all that the server at the address has for it.
func syncedGateway(t *testing.T) (pool *xdspool.Pool, address string) {
	t.Helper()
	_, address = serve(t, gateway(t))
	wake := make(notifier, 1)
	pool = xdspool.New(xdspool.Config{Addresses: []string{address}, Clock: clock{}, Notify: wake, Fidelity: xdspool.Fidelity{Patience: time.Nanosecond}})
	done := make(chan error, 1)
	go func() { done <- pool.Run(context.Background()) }()
	t.Cleanup(func() {
		pool.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	pool.Want(runtime.Proxy{Class: runtime.ClassGateway, Namespace: "ns", Name: "gw", IP: "10.0.0.1"})
	for deadline := time.After(20 * time.Second); ; {
		now := runtime.Readings{}
		pool.Read(now)
		if now["xds.synced"] == int64(1) && now["xds.ecds.resources"] == int64(1) && now["xds.sds.resources"] == int64(1) {
			return pool, address
		}
		select {
		case <-wake:
		case <-deadline:
			t.Fatalf("not synced: %v", now)
		}
	}
}

// TestPoolAgreesWithTheOracle runs the pool and the oracle against the same server, whose only difference between two
// clients is the resource that it makes for each.
func TestPoolAgreesWithTheOracle(t *testing.T) {
	t.Parallel()
	pool, address := syncedGateway(t)
	got, err := oracle.Check(t.Context(), pool, address, clock{})
	if err != nil {
		t.Fatal(err)
	}
	want := []oracle.Difference{{"ns/gw", "CDS", "own", oracle.Stale}, {"ns/gw", "LDS", "own", oracle.Stale}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	pool.Close()
	if _, err := pool.Present(t.Context(), "ns/gw"); err == nil {
		t.Error("a proxy is present after the pool has ended")
	}
}

func TestRecordingSurvivesItsFile(t *testing.T) {
	t.Parallel()
	_, address := serve(t, gateway(t))
	r, err := replay.Record(t.Context(), oracle.Request{
		Conn: dial(t, address), Node: &core.Node{Id: "n"}, Types: []string{url("cds"), url("lds")}, Clock: clock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	if err := r.Write(&file); err != nil {
		t.Fatal(err)
	}
	again, err := replay.Read(strings.NewReader(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Answers) != 6 || again.Answer(url("rds")).GetNonce() != "" {
		t.Errorf("%d answers", len(again.Answers))
	}
	for _, a := range r.Answers {
		if !proto.Equal(a, again.Answer(a.TypeUrl)) {
			t.Errorf("%s differs", a.TypeUrl)
		}
	}
	if again.Answer("none") != nil {
		t.Error("an answer of no type")
	}
	for _, bad := range []string{"", "no gzip", file.String()[:file.Len()/2]} {
		if _, err := replay.Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%d bytes of a recording were read", len(bad))
		}
	}
}
