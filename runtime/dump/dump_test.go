package dump_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	quic "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/plscript/plscript/runtime/dump"
	"github.com/plscript/plscript/runtime/dump/dumptest"
)

const root = "/etc/envoy"

// folder keeps files in memory.
type folder struct {
	fstest.MapFS
	private map[string]bool
}

type file struct {
	strings.Builder
	in   folder
	name string
}

func (f *file) Close() error {
	f.in.MapFS[f.name] = &fstest.MapFile{Data: []byte(f.String())}
	return nil
}

func (d folder) Create(name string, private bool) (io.WriteCloser, error) {
	if _, taken := d.MapFS[name]; taken || !fs.ValidPath(name) {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	d.private[name] = private
	return &file{in: d, name: name}, nil
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// write writes a dump and loads it again.
func write(t *testing.T, r dump.Resources, secrets ...*tlsv3.Secret) (folder, *dump.Summary, *dumptest.Loaded, error) {
	t.Helper()
	d := folder{fstest.MapFS{}, map[string]bool{}}
	s, err := dump.Write(d, dump.Config{
		Node: &core.Node{Id: "sidecar~10.0.0.1~web-0.a~a.svc.cluster.local", Cluster: "web.a"}, Resources: r, Secrets: secrets, Root: root,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := dumptest.Load(d, root)
	return d, s, l, err
}

func ads() *core.ConfigSource {
	return &core.ConfigSource{ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}}, ResourceApiVersion: core.ApiVersion_V3}
}

func edsCluster(name, service string) *cluster.Cluster {
	return &cluster.Cluster{
		Name: name, ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS}, LrsServer: ads(),
		EdsClusterConfig: &cluster.Cluster_EdsClusterConfig{EdsConfig: ads(), ServiceName: service},
	}
}

func sds(name string) *tlsv3.SdsSecretConfig {
	// As Istio's clusters ask the agent for the workload's certificate (istio.io/istio pilot/pkg/security/model).
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_ApiConfigSource{ApiConfigSource: &core.ApiConfigSource{
			ApiType: core.ApiConfigSource_GRPC, TransportApiVersion: core.ApiVersion_V3,
			GrpcServices: []*core.GrpcService{{TargetSpecifier: &core.GrpcService_EnvoyGrpc_{EnvoyGrpc: &core.GrpcService_EnvoyGrpc{ClusterName: "sds-grpc"}}}},
		}},
		ResourceApiVersion: core.ApiVersion_V3,
	}}
}

func extension() *core.ExtensionConfigSource {
	return &core.ExtensionConfigSource{ConfigSource: ads(), TypeUrls: []string{"type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"}}
}

func address(port uint32) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: "0.0.0.0", PortSpecifier: &core.SocketAddress_PortValue{PortValue: port}}}}
}

// mesh has every kind of reference, in the places where Istio puts them.
func mesh(t *testing.T) dump.Resources {
	t.Helper()
	r := dump.Resources{}
	add := func(name string, m proto.Message) { a := pack(t, m); r.Add(a.TypeUrl, name, a) }

	web := edsCluster("outbound|80||web.a.svc.cluster.local", "")
	web.TransportSocket = &core.TransportSocket{Name: "tls", ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: pack(t, &tlsv3.UpstreamTlsContext{
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{sds("default")},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext: &tlsv3.CertificateValidationContext{}, ValidationContextSdsSecretConfig: sds("ROOTCA"),
			}},
		},
	})}}
	add(web.Name, web)
	add("alias", edsCluster("alias", "outbound|80||web.a.svc.cluster.local"))
	add("static", &cluster.Cluster{Name: "static", ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}})
	add(web.Name, &endpoint.ClusterLoadAssignment{ClusterName: web.Name})
	add("unused", &endpoint.ClusterLoadAssignment{ClusterName: "unused"})

	manager := &hcm.HttpConnectionManager{
		StatPrefix:     "web",
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: ads(), RouteConfigName: "http.80"}},
		HttpFilters:    []*hcm.HttpFilter{{Name: "a.wasm", ConfigType: &hcm.HttpFilter_ConfigDiscovery{ConfigDiscovery: extension()}}},
	}
	quicSocket := pack(t, &quic.QuicDownstreamTransport{DownstreamTlsContext: &tlsv3.DownstreamTlsContext{
		CommonTlsContext: &tlsv3.CommonTlsContext{TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: "kubernetes://gateway-cert", SdsConfig: ads()}}},
	}})
	add("0.0.0.0_443", &listener.Listener{
		Name: "0.0.0.0_443", Address: address(443),
		ListenerFilters: []*listener.ListenerFilter{{Name: "a.listener", ConfigType: &listener.ListenerFilter_ConfigDiscovery{ConfigDiscovery: extension()}}},
		FilterChains: []*listener.FilterChain{{
			Filters: []*listener.Filter{
				{Name: "a.network", ConfigType: &listener.Filter_ConfigDiscovery{ConfigDiscovery: extension()}},
				{Name: "envoy.filters.network.http_connection_manager", ConfigType: &listener.Filter_TypedConfig{TypedConfig: pack(t, manager)}},
			},
			TransportSocket: &core.TransportSocket{Name: "quic", ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: quicSocket}},
		}},
	})
	add("http.80", &route.RouteConfiguration{Name: "http.80"})
	for _, name := range []string{"a.wasm", "a.listener", "a.network"} {
		add(name, &core.TypedExtensionConfig{Name: name, TypedConfig: pack(t, &hcm.HttpConnectionManager{
			StatPrefix: name, RouteSpecifier: &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{}},
		})})
	}
	return r
}

func keyPair(t *testing.T) []*tlsv3.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := dump.WorkloadSecrets(&tls.Certificate{PrivateKey: key, Certificate: [][]byte{[]byte("leaf"), []byte("root")}})
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

// TestWrite: every reference of every kind ends in a file, each resource is written once, and nothing that nobody needs.
func TestWrite(t *testing.T) {
	t.Parallel()
	d, s, l, err := write(t, mesh(t), keyPair(t)...)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"CDS": 3, "EDS": 1, "LDS": 1, "RDS": 1, "ECDS": 3, "SDS": 2}
	if diff := cmp.Diff(want, s.Resources); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]dump.Reference{{Type: "SDS", Name: "kubernetes://gateway-cert"}}, s.Missing); diff != "" {
		t.Error(diff)
	}
	if len(l.Empty) != 1 || len(s.Dynamic)+len(s.Binary) != 0 {
		t.Errorf("empty %q, dynamic %q, binary %q", l.Empty, s.Dynamic, s.Binary)
	}
	if got, want := slices.Sorted(maps.Keys(l.Files)), slices.Sorted(maps.Keys(d.MapFS)); !slices.Equal(got, want) || len(got) != s.Files {
		t.Errorf("%d files in the summary, and Envoy reads\n%q of\n%q", s.Files, got, want)
	}
	for name, private := range d.private {
		key := strings.Contains(string(d.MapFS[name].Data), "PRIVATE KEY")
		if key != (name == "sds/default.yaml") || key && !private {
			t.Errorf("%s: holds a key %v, private %v", name, key, private)
		}
		// Whatever secret it is: of a token nothing says that it is one.
		if secret := strings.HasPrefix(name, "sds/") && strings.Contains(string(d.MapFS[name].Data), "resources:"); secret != private {
			t.Errorf("%s: holds a secret %v, private %v", name, secret, private)
		}
	}
	for _, m := range l.Resources {
		if c, ok := m.(*cluster.Cluster); ok && c.LrsServer != nil {
			t.Errorf("%s still reports its load to istiod", c.Name)
		}
	}
}

// TestKeysAnywhereArePrivate: a key that an EnvoyFilter has put into a listener makes that file private.
func TestKeysAnywhereArePrivate(t *testing.T) {
	t.Parallel()
	r := dump.Resources{}
	l := &listener.Listener{Name: "l", Address: address(1), FilterChains: []*listener.FilterChain{{TransportSocket: &core.TransportSocket{
		Name: "tls", ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: pack(t, &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsCertificates: []*tlsv3.TlsCertificate{{PrivateKey: &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: []byte("key")}}}},
		}})},
	}}}}
	a := pack(t, l)
	r.Add(a.TypeUrl, l.Name, a)
	d, _, _, err := write(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if !d.private["lds.yaml"] || d.private["cds.yaml"] {
		t.Errorf("private: %v", d.private)
	}
}

// TestUnknownTypesAreKept: what is not known here is written in binary form, byte by byte.
func TestUnknownTypesAreKept(t *testing.T) {
	t.Parallel()
	r := mesh(t)
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/acme.Filter", Value: []byte{8, 1}}
	a := pack(t, &core.TypedExtensionConfig{Name: "a.wasm", TypedConfig: unknown})
	r.Add(a.TypeUrl, "a.wasm", a)
	_, s, l, err := write(t, r, keyPair(t)...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Binary, []string{"ecds/a.wasm.pb"}) {
		t.Errorf("binary: %q", s.Binary)
	}
	for _, m := range l.Resources {
		if x, ok := m.(*core.TypedExtensionConfig); ok && x.Name == "a.wasm" && !proto.Equal(x.TypedConfig, unknown) {
			t.Errorf("became %v", x.TypedConfig)
		}
	}
}

// TestMissing: what istiod has not sent does not keep Envoy from starting.
func TestMissing(t *testing.T) {
	t.Parallel()
	r := mesh(t)
	for url := range r {
		if !slices.Contains(dump.Roots(), url) {
			delete(r, url)
		}
	}
	_, s, l, err := write(t, r)
	if err != nil {
		t.Fatal(err)
	}
	// Endpoints and routes have a stand-in of their name; three secrets and three extensions are empty files.
	if len(s.Missing) != 8 || len(l.Empty) != 6 {
		t.Errorf("missing %v, empty %q", s.Missing, l.Empty)
	}
	_, s, _, err = write(t, dump.Resources{})
	if err != nil || s.Files != 3 {
		t.Errorf("of nothing: %d files, %v", s.Files, err)
	}
}

// TestSourcesThatNoFileAnswers are named.
func TestSourcesThatNoFileAnswers(t *testing.T) {
	t.Parallel()
	r := dump.Resources{}
	a := pack(t, &listener.Listener{Name: "l", Address: address(1), FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{
		Name: "hcm", ConfigType: &listener.Filter_TypedConfig{TypedConfig: pack(t, &hcm.HttpConnectionManager{
			StatPrefix: "x", RouteSpecifier: &hcm.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcm.ScopedRoutes{
				Name: "scopes", RdsConfigSource: ads(),
			}},
		})},
	}}}}})
	r.Add(a.TypeUrl, "l", a)
	d := folder{fstest.MapFS{}, map[string]bool{}}
	s, err := dump.Write(d, dump.Config{Node: &core.Node{Id: "x"}, Resources: r, Root: root})
	if err != nil || len(s.Dynamic) != 1 || !strings.Contains(s.Dynamic[0], "rds_config_source") {
		t.Errorf("dynamic %q, %v", s.Dynamic, err)
	}
}

// TestNames: hostile and clashing names get files of their own, below the folder of their type.
func TestNames(t *testing.T) {
	t.Parallel()
	all := []string{
		"../../etc/passwd", "..", ".", "/", "/etc/passwd", "a/b", "a|b", "a_b", "A_B", "a\x00b", "a\nb", "-rf", "con", ".hidden", "ünïcode", "a_b-6dba21b0",
		strings.Repeat("x", 400), strings.Repeat("x", 401), strings.Repeat("/", 400),
	}
	r := dump.Resources{}
	for i, n := range all {
		c := pack(t, edsCluster(fmt.Sprint("c", i), n))
		r.Add(c.TypeUrl, fmt.Sprint("c", i), c)
		if n == "ünïcode" {
			continue // is missing
		}
		e := pack(t, &endpoint.ClusterLoadAssignment{ClusterName: n})
		r.Add(e.TypeUrl, n, e)
	}
	d, s, _, err := write(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if s.Resources["EDS"] != len(all)-1 || len(s.Missing) != 1 {
		t.Errorf("%+v", s)
	}
	seen := map[string]bool{}
	for name := range d.MapFS {
		lower := strings.ToLower(name)
		base := name[strings.LastIndexByte(name, '/')+1:]
		if seen[lower] || len(base) > 255 || strings.HasPrefix(base, ".") || strings.Count(name, "/") > 1 {
			t.Errorf("file %q", name)
		}
		seen[lower] = true
	}
}
