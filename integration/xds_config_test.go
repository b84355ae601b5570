package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/runtime/xdspool/replay"
	"github.com/plscript/plscript/sandbox"
)

// TestConfigConverges follows objects of every kind that can be followed from their first write to their removal, to proxies
// of every class, and compares in the end what these hold with what a fresh client gets.
func TestConfigConverges(t *testing.T) {
	box := sharedSandbox(t)
	r := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "converge"
maxLateness: "1m" // how fast this machine is, is not what is tested
oracle: true
let kinds = [
	{apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: name: "words", spec: {hosts: ["web-0"], http: [{
		name: "r-${generation}", route: [{destination: host: "web-0"}]}]}},
	{apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: name: "numbers", spec: {hosts: ["web-1"], http: [{
		timeout: "${generation + 1}s", route: [{destination: host: "web-1"}]}]}},
	{apiVersion: "networking.istio.io/v1", kind: "DestinationRule", metadata: name: "rule", spec: {host: "web-0", subsets: [{
		name: "v${generation}", labels: app: "web-0"}]}},
	{apiVersion: "networking.istio.io/v1", kind: "ServiceEntry", metadata: name: "entry", spec: {
		hosts: ["outside.example.com"], ports: [{number: 80, name: "http", protocol: "HTTP"}], resolution: "DNS"}},
	{apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata: name: "policy", spec: {rules: [{
		from: [{source: principals: ["cluster.local/ns/x/sa/s${generation}"]}]}]}},
	{apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", metadata: name: "http", spec: {
		parentRefs: [{group: "", kind: "Service", name: "web-1", port: 80}]
		rules: [{filters: [{type: "RequestHeaderModifier", requestHeaderModifier: set: [{name: "x-generation", value: "g${generation}"}]}]
			backendRefs: [{name: "web-1", port: 80}]}]}},
]
phases: [
	{name: "mesh", steps: [
		{action: "createNodes", count: 1, ztunnel: true},
		{action: "createNamespaces", count: 1, name: "converge", waypoint: "waypoint", apps: [
			{name: "waypoint", type: "waypoint"}, {name: "edge", type: "gateway"},
			{name: "web", type: "sidecar", inject: "none", replicas: 2, pods: 2},
		]},
		{action: "wait", until: "xds.desired == 7 && xds.synced == 7 && pods.ready == pods.desired", timeout: "1m"},
	]},
	{name: "new", steps: [
		{action: "apply", scope: "namespace", objects: kinds},
		{action: "wait", until: "changes.count == 6 && changes.pending == 0", timeout: "30s"},
		{action: "apply", scope: "namespace", audience: "app.type == 'sidecar'", objects: [
			{apiVersion: "networking.istio.io/v1", kind: "DestinationRule", metadata: name: "everybody", spec: host: "web-1"}]},
		{action: "wait", until: "changes.count == 7 && changes.pending == 0", timeout: "30s"},
	]},
	{name: "update", steps: [
		{action: "churnConfig", rate: "8/s", duration: "3s", of: [{kind: "VirtualService"}, {kind: "DestinationRule"}, {kind: "AuthorizationPolicy"}, {kind: "HTTPRoute"}]},
		{action: "wait", until: "changes.count == 31 && changes.pending == 0", timeout: "30s"},
	]},
	{name: "gone", steps: [
		{action: "delete", objects: [for o in kinds {apiVersion: o.apiVersion, kind: o.kind, name: o.metadata.name, namespace: "converge"}]},
		{action: "wait", until: "changes.count == 37 && changes.pending == 0", timeout: "30s"},
		{action: "assert", expr: "oracle.differences == 0 && oracle.checked == 12"},
	]},
]
thresholds: [
	{expr: "changes.route.p99 > duration('10ms') && changes.route.p99 < duration('1m')"},
	{expr: "changes.cluster.p99 > duration('10ms') && changes.cluster.p99 < duration('1m')"},
	{expr: "changes.policy.p99 > duration('10ms') && changes.policy.p99 < duration('1m')"},
	// Those told by numbers alone can be told only one at a time, and the rule without fields of its own never changes.
	{expr: "changes.policy.unobserved == 0 && changes.route.unobserved + changes.cluster.unobserved < 20"},
	{expr: "xds.nacks == 0"},
]
`)).report(t)
	if len(r.Oracle) != 4 || len(r.Oracle[0].Proxies) != 4 {
		t.Errorf("compared %+v", r.Oracle)
	}
	checkEmpty(t, box)
}

// TestIstiodKnowsItsProxies asks istiod's own pages what it makes of the proxies.
func TestIstiodKnowsItsProxies(t *testing.T) {
	box := sharedSandbox(t)
	pages := istiod.NewClient(box.MonitoringAddress(), nil)
	before := len(istiodLog(t, box)) // other tests have proxies without pods
	p := whileHeld(t, box, `
name: "known"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "known", apps: [{name: "web", type: "sidecar", inject: "none", pods: 3}]}]},
	{name: "settle", steps: [{action: "wait", until: "xds.synced == 3 && pods.ready == 3"}]},
	HELD,
]
`, func(c *kubernetes.Clientset) {
		connections, err := pages.Page(t.Context(), "/debug/connections")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(connections), `"connectionId"`); n != 3 {
			t.Errorf("istiod lists %d connections:\n%s", n, connections)
		}
		pod := podOf(t, c, "known", "web")
		dump, err := pages.Page(t.Context(), "/debug/config_dump?proxyID="+pod+".known")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(dump), `"inbound|8080||"`) {
			t.Errorf("%s has no inbound cluster", pod)
		}
	})
	checkSync(t, p.report(t))
	if strings.Contains(istiodLog(t, box)[before:], "from metadata") {
		t.Error("istiod did not find a proxy's pod")
	}
}

func istiodLog(t *testing.T, box *sandbox.Sandbox) string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(box.Dir, "istiod.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// TestGatewayGetsItsSecret has a gateway of a TLS Gateway receive the certificate over SDS.
func TestGatewayGetsItsSecret(t *testing.T) {
	box := sharedSandbox(t)
	run(t, 0, "run", "--sandbox", box.Name, "--auth", "jwt", scenario(t, `
name: "secret"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "secret", apps: [{name: "edge", type: "gateway", serviceAccount: "edge"}]}]},
	{name: "tls", steps: [
		{action: "apply", scope: "namespace", objects: [
			{apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: name: "secrets", rules: [{apiGroups: [""], resources: ["secrets"], verbs: ["get", "watch", "list"]}]},
			{apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", metadata: name: "secrets"
				roleRef: {apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "secrets"}, subjects: [{kind: "ServiceAccount", name: "edge", namespace: "${ns.name}"}]},
			{apiVersion: "v1", kind: "Secret", metadata: name: "shop-cert", type: "kubernetes.io/tls", stringData: {
				"tls.crt": "${cert('shop.example.com').crt}", "tls.key": "${cert('shop.example.com').key}"}},
			{apiVersion: "networking.istio.io/v1", kind: "Gateway", metadata: name: "shop", spec: {selector: app: "edge", servers: [
				{port: {number: 443, name: "https", protocol: "HTTPS"}, hosts: ["shop.example.com"], tls: {mode: "SIMPLE", credentialName: "shop-cert"}}]}},
		]},
		{action: "wait", until: "xds.sds.resources > 0 && xds.synced == xds.desired && xds.desired == 1", timeout: "30s"},
	]},
]
thresholds: [{expr: "xds.unanswered == 0 && xds.nacks == 0"}]
`))
	checkEmpty(t, box)
}

// TestRecord records what a sidecar is sent, and reads it back.
func TestRecord(t *testing.T) {
	box := sharedSandbox(t)
	file := filepath.Join(t.TempDir(), "sidecar.rec.gz")
	run(t, 0, "record", "--sandbox", box.Name, "--out", file)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := replay.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range replay.Roots(runtime.ClassSidecar) {
		if a := r.Answer(url); a == nil || len(a.Resources) == 0 {
			t.Errorf("nothing of %s", url)
		}
	}
	run(t, 3, "record", "--pilot-address", "127.0.0.1:1", "--out", file+".2")
	if _, err := os.Stat(file + ".2"); !os.IsNotExist(err) {
		t.Errorf("a recording of nobody: %v", err)
	}
}

// TestProxiesAsTheScenarioSays runs what is not the default of proxies: the other protocol, shared connections, ztunnels on
// demand, certificates before streams, and streams that the scenario breaks.
func TestProxiesAsTheScenarioSays(t *testing.T) {
	box := sharedSandbox(t)
	r := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "knobs"
maxLateness: "1m" // how fast this machine is, is not what is tested
oracle: true
proxies: {node: "always", protocol: "sotw", extensions: "envoy", streamsPerConnection: 3, connectRate: "50/s", onDemand: true, pin: 0}
phases: [{name: "mesh", steps: [
	{action: "createNodes", count: 1, ztunnel: true},
	{action: "createNamespaces", count: 1, name: "knobs", waypoint: "waypoint", apps: [
		{name: "web", type: "sidecar", csr: true, pods: 4}, {name: "waypoint", type: "waypoint"}, {name: "edge", type: "gateway", csr: true},
	]},
	{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired && xds.desired == 7", timeout: "1m"},
	{action: "churnPods", rate: "2/s", duration: "2s", select: "app.type == 'sidecar'"},
	{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired && changes.pending == 0", timeout: "1m"},
	{action: "disconnect", fraction: 0.5},
	{action: "wait", until: "xds.reconnects >= 3 && xds.synced == xds.desired", timeout: "1m"},
]}]
thresholds: [
	{expr: "xds.nacks == 0 && xds.disconnects == 0 && xds.istiods == 1"},
	{expr: "certificates.count == 9 && certificates.errors == 0"},
	{expr: "oracle.differences == 0 && oracle.checked == 4"},
]
`)).report(t)
	checkSync(t, r)
	if len(r.Istiods) != 1 || r.Istiods[0].Address != box.XDSAddress() || r.Istiods[0].Open != 7 {
		t.Errorf("streams %+v", r.Istiods)
	}
	checkEmpty(t, box)
}
