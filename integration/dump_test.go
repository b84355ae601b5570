package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime/dump/dumptest"
	"github.com/plscript/plscript/sandbox"
)

// dumpMesh has what makes the references of a dump: sidecars, a waypoint, and a gateway that serves a certificate, lacks
// another and has filters of every kind that take their configuration from elsewhere.
const dumpMesh = `
name: "dump"
let source = {config_source: {ads: {}, initial_fetch_timeout: "0s"}, type_urls: ["type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"]}
let edge = {labels: app: "edge"}
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "dump", waypoint: "waypoint", apps: [
		{name: "waypoint", type: "waypoint"}, {name: "web", type: "sidecar", inject: "none", pods: 2}, {name: "edge", type: "gateway", serviceAccount: "edge"}, {name: "plain", type: "plain"},
	]}]},
	{name: "config", steps: [{action: "apply", scope: "namespace", objects: [
		{apiVersion: "v1", kind: "Secret", metadata: name: "shop-cert", type: "kubernetes.io/tls", stringData: {
			"tls.crt": "${cert('shop.example.com').crt}", "tls.key": "${cert('shop.example.com').key}"}},
		{apiVersion: "networking.istio.io/v1", kind: "Gateway", metadata: name: "shop", spec: {selector: app: "edge", servers: [
			{port: {number: 443, name: "https", protocol: "HTTPS"}, hosts: ["shop.example.com"], tls: {mode: "SIMPLE", credentialName: "shop-cert"}},
			{port: {number: 8443, name: "https-lost", protocol: "HTTPS"}, hosts: ["lost.example.com"], tls: {mode: "SIMPLE", credentialName: "lost-cert"}},
			{port: {number: 80, name: "http", protocol: "HTTP"}, hosts: ["*"]},
		]}},
		{apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: name: "shop", spec: {
			hosts: ["shop.example.com"], gateways: ["shop"], http: [{route: [{destination: {host: "web", port: number: 80}}]}]}},
		{apiVersion: "networking.istio.io/v1alpha3", kind: "EnvoyFilter", metadata: name: "elsewhere", spec: {workloadSelector: edge, configPatches: [
			{applyTo: "LISTENER_FILTER", match: {context: "GATEWAY"}, patch: {operation: "INSERT_FIRST", value: {name: "ext.listener", config_discovery: source}}},
			{applyTo: "HTTP_FILTER", match: {context: "GATEWAY"}, patch: {operation: "INSERT_FIRST", value: {name: "ext.http", config_discovery: source}}},
			{applyTo: "EXTENSION_CONFIG", match: {context: "GATEWAY"}, patch: {operation: "ADD", value: {name: "ext.listener", typed_config: {"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}}}},
			{applyTo: "EXTENSION_CONFIG", match: {context: "GATEWAY"}, patch: {operation: "ADD", value: {name: "ext.http", typed_config: {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", default_source_code: inline_string: "function envoy_on_request(h) end"}}}},
		]}},
	]}]},
	{name: "settle", steps: [{action: "wait", until: "xds.synced == xds.desired && pods.ready == pods.desired", timeout: "1m"}]},
]
`

// TestDump reads each dump back strictly: files of the right types, every reference to its end, and nothing left dynamic.
func TestDump(t *testing.T) {
	box := sharedSandbox(t)
	c := client(t, box)
	mesh := run(t, 0, "run", "--sandbox", box.Name, "--keep", scenario(t, dumpMesh))
	defer func() {
		run(t, 0, "clean", "--sandbox", box.Name, "--run", mesh.runID(t))
		checkEmpty(t, box)
	}()
	letReadSecrets(t, c, "dump", "edge")
	onSandbox := []string{"--sandbox", box.Name}
	onCluster := []string{"--kubeconfig", box.Kubeconfig(), "-p", box.SecureXDSAddress()}
	onPlaintext := []string{"--kubeconfig", box.Kubeconfig(), "-p", box.XDSAddress(), "--auth", "plaintext"}
	for _, tc := range []struct {
		name, app string
		target    []string
		want      []string // resources of these types at least
		empty     []string // files without a resource
		says      string
	}{
		{"sidecar", "web", onSandbox, []string{"Cluster", "Listener", "RouteConfiguration", "ClusterLoadAssignment", "Secret"}, nil, "RDS"},
		{"waypoint", "waypoint", onSandbox, []string{"Cluster", "Listener", "ClusterLoadAssignment", "Secret"}, nil, "waypoint dump/"},
		{"no proxy", "plain", onCluster, []string{"Cluster", "Listener"}, nil, "the pod has no proxy"},
		{"gateway", "edge", append(onCluster, "--auth", "mtls", "--patience", "2s"), []string{"Cluster", "Listener", "RouteConfiguration", "TypedExtensionConfig", "Secret"}, []string{"sds/kubernetes___lost-cert"}, "missing: SDS kubernetes://lost-cert"},
		{"plaintext", "web", onPlaintext, []string{"Cluster", "Listener"}, []string{"sds/default", "sds/ROOTCA"}, "no workload certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "envoy")
			p := run(t, 0, append([]string{"dump", "--namespace", "dump", "--pod", podOf(t, c, "dump", tc.app), "--out", out}, tc.target...)...)
			if said := p.stdout.String() + p.stderr.String(); !strings.Contains(said, tc.says) {
				t.Errorf("does not say %q:\n%s", tc.says, said)
			}
			checkDump(t, out, tc.want, tc.empty)
		})
	}
	// The wrong port for the way to authenticate is said, and not waited for.
	lost := filepath.Join(t.TempDir(), "lost")
	p := run(t, 3, "dump", "--namespace", "dump", "--pod", podOf(t, c, "dump", "web"), "--out", lost, "--kubeconfig", box.Kubeconfig(), "-p", box.XDSAddress())
	if _, err := os.Stat(lost); !os.IsNotExist(err) || !strings.Contains(p.stderr.String(), "speaks no TLS") {
		t.Errorf("%v\n%s", err, p.stderr)
	}
	t.Run("action", func(t *testing.T) { dumpAction(t, box, podOf(t, c, "dump", "web")) })
}

// checkDump loads a dump, and has Envoy validate it where there is one.
func checkDump(t *testing.T, out string, want, empty []string) *dumptest.Loaded {
	t.Helper()
	l, err := dumptest.Load(os.DirFS(out), out)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int{}
	for _, m := range l.Resources {
		types[string(m.ProtoReflect().Descriptor().Name())]++
	}
	for _, name := range want {
		if types[name] == 0 {
			t.Errorf("no %s: %v", name, types)
		}
	}
	for _, file := range l.Empty {
		if !slices.ContainsFunc(empty, func(e string) bool { return strings.HasPrefix(file, e) }) {
			t.Errorf("%s is empty", file)
		}
	}
	if len(l.Empty) != len(empty) {
		t.Errorf("empty files: %q, want those of %q", l.Empty, empty)
	}
	for file := range l.Files {
		info, err := os.Stat(filepath.Join(out, file))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(out, file)); err != nil || strings.Contains(string(text), "PRIVATE KEY") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
	if envoy, err := exec.LookPath("envoy"); err == nil {
		if text, err := exec.Command(envoy, "--mode", "validate", "-c", filepath.Join(out, "config.yaml")).CombinedOutput(); err != nil {
			t.Errorf("envoy --mode validate: %v\n%s", err, text)
		}
	}
	return l
}

// dumpAction dumps from a scenario, into the run's own folder. A folder that is taken fails the step.
func dumpAction(t *testing.T, box *sandbox.Sandbox, pod string) {
	t.Helper()
	p := run(t, 0, "run", "--sandbox", box.Name, scenario(t, fmt.Sprintf(`
name: "action"
phases: [{name: "dump", steps: [
	{action: "dump", namespace: "dump", pod: %q, out: "envoy/web"}, {action: "dump", namespace: "dump", pod: %[1]q, out: "envoy/web", onError: "continue"},
]}]`, pod)))
	dirs, err := filepath.Glob(filepath.Join(p.out, "*", "envoy", "web"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("%q, %v\n%s", dirs, err, p.stdout)
	}
	checkDump(t, dirs[0], []string{"Cluster", "Secret"}, nil)
	if steps := p.report(t).Phases[0].Steps; steps[0].Status != "passed" || steps[1].Status != "tolerated" || !strings.Contains(steps[1].Error, "exists") {
		t.Errorf("steps %+v", steps)
	}
}

// letReadSecrets gives a gateway's ServiceAccount the right that istiod wants to see before it sends secrets.
func letReadSecrets(t *testing.T, c *kubernetes.Clientset, namespace, account string) {
	t.Helper()
	ctx := context.Background()
	name := metav1.ObjectMeta{Name: "gateway-secrets", Namespace: namespace}
	role := &rbacv1.Role{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "watch", "list"}}}}
	if _, err := c.RbacV1().Roles(namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}},
	}
	if _, err := c.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// podOf is the first pod of an app.
func podOf(t *testing.T, c *kubernetes.Clientset, namespace, app string) string {
	t.Helper()
	pods, err := c.CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("pods of %s: %v, %v", app, pods, err)
	}
	return pods.Items[0].Name
}
