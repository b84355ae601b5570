package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
	"github.com/plscript/plscript/sandbox"
)

// capturedMesh has a proxy of every class, and configuration of most kinds for them.
const capturedMesh = `
name: "captured"
let http = {route: [{destination: {host: "web.shop.svc.cluster.local", port: number: 80}}]}
phases: [
	{name: "nodes", steps: [{action: "createNodes", count: 2, zones: 2, ztunnel: true}]},
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "shop", waypoint: "waypoint", apps: [
		{name: "waypoint", type: "waypoint"}, {name: "api", type: "ambient", pods: 2}, {name: "web", type: "sidecar", pods: 2, serviceAccount: "web"},
		{name: "edge", type: "gateway"}, {name: "legacy", type: "plain", pods: 1}, {name: "bank", type: "external"}, {name: "vm", type: "vm", pods: 2},
	]}]},
	{name: "config", steps: [{action: "apply", scope: "namespace", objects: [
		{apiVersion: "networking.istio.io/v1beta1", kind: "Gateway", metadata: name: "shop", spec: {selector: app: "edge", servers: [
			{port: {number: 80, name: "http", protocol: "HTTP"}, hosts: ["*"]}]}},
		{apiVersion: "networking.istio.io/v1alpha3", kind: "VirtualService", metadata: name: "shop", spec: {hosts: ["shop.example.com"], gateways: ["shop"], "http": [http]}},
		{apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: name: "web", spec: {hosts: ["web"], "http": [http & {timeout: "2s"}]}},
		{apiVersion: "networking.istio.io/v1", kind: "DestinationRule", metadata: name: "web", spec: {host: "web", subsets: [{name: "one", labels: app: "web"}]}},
		{apiVersion: "networking.istio.io/v1", kind: "Sidecar", metadata: name: "default", spec: egress: [{hosts: ["./*", "istio-system/*"]}]},
		{apiVersion: "security.istio.io/v1", kind: "PeerAuthentication", metadata: name: "default", spec: mtls: mode: "STRICT"},
		{apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata: name: "web", spec: {selector: matchLabels: app: "web", rules: [{from: [{source: namespaces: ["shop"]}]}]}},
		{apiVersion: "telemetry.istio.io/v1", kind: "Telemetry", metadata: name: "shop", spec: accessLogging: [{providers: [{name: "envoy"}]}]},
		{apiVersion: "extensions.istio.io/v1alpha1", kind: "WasmPlugin", metadata: name: "shop", spec: {selector: matchLabels: app: "edge", url: "oci://registry.example.com/shop:1"}},
		{apiVersion: "gateway.networking.k8s.io/v1beta1", kind: "HTTPRoute", metadata: name: "api", spec: {
			parentRefs: [{group: "", kind: "Service", name: "api", port: 80}], rules: [{backendRefs: [{name: "api", port: 80}]}]}},
	]}]},
	{name: "settle", steps: [{action: "wait", until: "xds.synced == xds.desired && pods.ready == pods.desired", timeout: "1m"}]},
]
`

// TestReproducedMeshIsTheSame captures a mesh, makes it again where nothing is left of it, and compares what a fresh client
// in the place of each of its proxies gets, type by type.
func TestReproducedMeshIsTheSame(t *testing.T) {
	box := sharedSandbox(t)
	mesh := run(t, 0, "run", "--sandbox", box.Name, "--keep", scenario(t, capturedMesh))
	dir := t.TempDir()
	file, packed := filepath.Join(dir, "shop.yaml"), filepath.Join(dir, "anonymous.yaml.gz")
	run(t, 0, "capture", "--sandbox", box.Name, "--out", file)
	run(t, 0, "capture", "--sandbox", box.Name, "--anonymize", "--secrets", "--out", packed)
	want := snapshots(t, box)
	run(t, 0, "clean", "--sandbox", box.Name, "--run", mesh.runID(t))
	checkEmpty(t, box)
	if len(want) != 6 { // two sidecars, two ztunnels, the waypoint and the gateway
		t.Fatalf("%d proxies", len(want))
	}

	reproduced(t, box, file, func(got map[string]oracle.Snapshot) string { return cmp.Diff(want, got) })
	// Under other names, there are as many of each type.
	reproduced(t, box, packed, func(got map[string]oracle.Snapshot) string { return cmp.Diff(sizes(want), sizes(got)) })
}

// settles is how often what proxies get is looked at, until istiod has worked out all that follows from the last write.
const settles = 10

// reproduced makes a mesh again and compares what its proxies get.
func reproduced(t *testing.T, box *sandbox.Sandbox, file string, compare func(map[string]oracle.Snapshot) string) {
	t.Helper()
	p := start(t, "reproduce", "-f", file, "--sandbox", box.Name, "--delay", "10ms", "--duration", "1h", "--out", t.TempDir())
	p.awaitOutput(t, "stay started")
	var diff string
	for range settles {
		if diff = compare(snapshots(t, box)); diff == "" {
			break
		}
	}
	if diff != "" {
		t.Errorf("%s: the proxies get other resources:\n%s", filepath.Base(file), diff)
	}
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 130 {
		t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	checkEmpty(t, box)
}

// snapshots are what a fresh client in the place of each live proxy gets, by class and name.
func snapshots(t *testing.T, box *sandbox.Sandbox) map[string]oracle.Snapshot {
	t.Helper()
	pods, err := client(t, box).CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]oracle.Snapshot{}
	for i := range pods.Items {
		if p, ok := runtime.PodProxy(&pods.Items[i]); ok {
			out[string(p.Class)+" "+p.Key()] = fetch(t, box, p)
		}
	}
	return out
}

// fetch is what one proxy gets. istiod admits only so many new streams a second.
func fetch(t *testing.T, box *sandbox.Sandbox, p runtime.Proxy) oracle.Snapshot {
	t.Helper()
	types := []string{"cds", "lds"}
	if p.Class == runtime.ClassZtunnel {
		types = []string{"wds", "wads"}
	}
	var urls []string
	for _, x := range runtime.XDSTypes {
		if slices.Contains(types, x.Short) {
			urls = append(urls, x.URL)
		}
	}
	cfg := xdspool.Config{IstioVersion: box.IstioVersion, ClusterID: "Kubernetes", MeshDomain: "cluster.local"}
	node, err := cfg.Node(p)
	if err != nil || len(urls) != 2 {
		t.Fatalf("%v, types %q", err, urls)
	}
	var last error
	for range 10 {
		ctx, conn, err := oracle.Dial(t.Context(), box.XDSAddress(), xdspool.Credentials{})
		if err != nil {
			t.Fatal(err)
		}
		var got oracle.Snapshot
		if got, last = oracle.Fetch(ctx, oracle.Request{Conn: conn, Node: node, Types: urls, Clock: runtimetest.Clock{}}); last == nil {
			_ = conn.Close()
			for name := range got[ecdsURL] {
				got[ecdsURL][name] = 0 // it holds the resourceVersion of its WasmPlugin
			}
			if _, ok := got[ldsURL]["main_internal"]; ok {
				got[ldsURL]["main_internal"] = 0 // its filter chains are in the order in which the Services were made, by the second
			}
			return got
		}
		_ = conn.Close()
		time.Sleep(200 * time.Millisecond) // until istiod takes another stream
	}
	t.Fatalf("%s: %v", p.Key(), last)
	return nil
}

const (
	ecdsURL = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
	ldsURL  = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// sizes are how many resources of each type the proxies of each class get, sorted.
func sizes(all map[string]oracle.Snapshot) map[string][]string {
	out := map[string][]string{}
	for name, snapshot := range all {
		class, _, _ := strings.Cut(name, " ")
		var types []string
		for url, names := range snapshot {
			types = append(types, fmt.Sprintf("%s: %d", url, len(names)))
		}
		slices.Sort(types)
		out[class] = append(out[class], strings.Join(types, ", "))
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// TestCaptureKeepsSecrets: no key leaves the cluster, nor does what a pod is told in its environment.
func TestCaptureKeepsSecrets(t *testing.T) {
	box := sharedSandbox(t)
	c, ctx := client(t, box), t.Context()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "private", Namespace: "default"}, Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{"password": []byte("hunter2"), "key": []byte("hunter2")}}
	if _, err := c.CoreV1().Secrets("default").Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.CoreV1().Secrets("default").Delete(context.Background(), "private", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	for _, flags := range [][]string{nil, {"--secrets"}} {
		file := filepath.Join(t.TempDir(), "all.yaml")
		run(t, 0, append([]string{"capture", "--sandbox", box.Name, "--out", file}, flags...)...)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "aHVudGVyMg") {
			t.Errorf("capture %q holds a secret:\n%s", flags, text)
		}
	}
}
