package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime/report"
)

// stage finds a stage of a report.
func stage(t *testing.T, r *report.Report, name string) report.Stage {
	t.Helper()
	i := slices.IndexFunc(r.Stages, func(s report.Stage) bool { return s.Stage == name })
	if i < 0 {
		t.Fatalf("no stage %s: %+v", name, r.Stages)
	}
	return r.Stages[i]
}

// TestInjectedPods has istiod inject pods in both ways, at first and under churn, and looks at what the api-server then
// shows, and at what istiod thinks of their proxies.
func TestInjectedPods(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 0, "run", "--keep", "--sandbox", box.Name, scenario(t, `
name: "injected"
maxLateness: "1m" // what is tested is not this machine
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "injected", metadata: ENABLE_HBONE: "false", apps: [
		{name: "direct", type: "sidecar", pods: 4, csr: true},
		{name: "hooked", type: "sidecar", pods: 3, inject: "webhook"},
		{name: "edge", type: "gateway", inject: "direct"},
		{name: "made", type: "sidecar", inject: "none"},
		{name: "plain"},
	]}]},
	{name: "churn", steps: [{action: "churnPods", rate: "5/s", duration: "2s", select: "app.name in ['direct', 'hooked']"}]},
	{name: "settle", steps: [{action: "wait", until: "pods.ready == 10 && endpoints.ready == 10 && xds.desired == 9 && xds.synced == 9", timeout: "1m"}]},
]
thresholds: [{expr: "injection.errors == 0 && admission.errors == 0 && injection.count + admission.count == 18"}]
`))
	id := p.runID(t)
	defer func() {
		run(t, 0, "clean", "--sandbox", box.Name, "--run", id)
		checkEmpty(t, box)
	}()
	rep := p.report(t)
	checkSync(t, rep)
	pods, err := client(t, box).CoreV1().Pods("injected").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, pod := range pods.Items {
		seen[pod.Labels["app"]]++
		checkProxy(t, &pod)
	}
	if want := map[string]int{"direct": 4, "hooked": 3, "edge": 1, "made": 1, "plain": 1}; fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("pods %v, want %v", seen, want)
	}
	for _, name := range []string{"injection", "admission"} {
		if s := stage(t, rep, name); s.Done < 3 || s.Time.P50 <= 0 || s.Time.P99 < s.Time.P50 {
			t.Errorf("stage %+v", s)
		}
	}
}

// checkProxy demands of a pod what istiod's template gives it, and of one that was not injected that it has none of it.
func checkProxy(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	var env []string
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if c.Name == "istio-proxy" {
			for _, e := range c.Env {
				env = append(env, e.Name)
			}
		}
	}
	switch app := pod.Labels["app"]; app {
	case "direct", "hooked", "edge":
		native := slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == "istio-proxy" })
		if app != "edge" && !native { // the nodes' kubelets are new enough
			t.Errorf("%s: no native sidecar", pod.Name)
		}
		if !slices.Contains(env, "ISTIO_META_CLUSTER_ID") || pod.Annotations["sidecar.istio.io/status"] == "" || (pod.Labels["security.istio.io/tlsMode"] == "istio") == (app == "edge") ||
			pod.Labels["service.istio.io/canonical-name"] != app {
			t.Errorf("%s: env %q, annotations %v, labels %v", pod.Name, env, pod.Annotations, pod.Labels)
		}
	default:
		if len(env) > 0 {
			t.Errorf("%s was injected", pod.Name)
		}
	}
	if hooked := pod.Labels["sidecar.istio.io/inject"] == "true"; hooked != (pod.Labels["app"] == "hooked") {
		t.Errorf("%s: labels %v", pod.Name, pod.Labels)
	}
}

// TestRefusedInjection: a pod that istiod refuses fails the run, with istiod's words.
func TestRefusedInjection(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 4, "run", "--sandbox", box.Name, scenario(t, `
name: "refused"
phases: [{name: "load", steps: [{action: "inject", count: 1, annotations: "inject.istio.io/templates": "no-such-template"}]}]
`))
	// The verdict is wrapped to the terminal's width.
	if out := strings.Join(strings.Fields(p.stdout.String()), " "); !strings.Contains(out, "inject Pod default/inject-0: injection: istiod does not allow the pod") || !strings.Contains(out, "no-such-template") {
		t.Error(out)
	}
	checkEmpty(t, box)
}

// TestLoadOnIstiod asks istiod for injections and certificates that nobody uses, and leaves nothing behind. Each
// certificate has led to the mesh's root, or its request would have failed.
func TestLoadOnIstiod(t *testing.T) {
	box := sharedSandbox(t)
	rep := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "asked"
maxLateness: "1m" // what is tested is not this machine
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "asked", apps: [{name: "web", pods: 1, serviceAccount: "web"}]}]},
	{name: "load", parallel: true, steps: [
		{action: "inject", count: 20, containers: 3},
		{action: "inject", rate: "10/s", duration: "2s", arrivals: "poisson"},
		{action: "requestCertificates", count: 30},
		{action: "requestCertificates", rate: "5/s", count: 10, key: "rsa", select: "app.name == 'web'"},
	]},
	{name: "agree", steps: [{action: "wait", until: "istiod.metric('citadel_server_success_cert_issuance_count') >= 40.0", timeout: "1m"}]},
]
thresholds: [{expr: "certificates.count == 40 && certificates.errors == 0 && injection.errors == 0"}]
`)).report(t)
	if s := stage(t, rep, "certificates"); s.Done != 40 || s.Time.P50 <= 0 {
		t.Errorf("certificates: %+v", s)
	}
	if s := stage(t, rep, "injection"); s.Done < 21 || s.Errors != 0 {
		t.Errorf("injections: %+v", s)
	}
	checkEmpty(t, box)
}

// TestStorm breaks half of the streams: all come back, and none is counted as lost.
func TestStorm(t *testing.T) {
	box := sharedSandbox(t)
	rep := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "storm"
maxLateness: "1m" // what is tested is not this machine
phases: [
	{name: "open", steps: [
		{action: "connect", count: 20},
		{action: "connect", count: 5, rate: "10/s", name: "edge", class: "gateway", protocol: "sotw"},
		{action: "wait", until: "xds.client.synced == 20 && xds.gateway.synced == 5", timeout: "1m"},
	]},
	{name: "storm", steps: [
		{action: "disconnect", fraction: 0.5, class: "client"},
		{action: "disconnect", count: 5, rate: "10/s", class: "gateway"},
		{action: "wait", until: "xds.synced == 25 && xds.reconnects == 15", timeout: "1m"},
	]},
]
thresholds: [{expr: "xds.disconnects == 0 && xds.nacks == 0"}]
`)).report(t)
	checkSync(t, rep)
	checkEmpty(t, box)
}

// TestCertificateForEachPod: where proxies do not speak plaintext, each pod that comes gets a certificate, before its
// stream opens, but those whose app says no.
func TestCertificateForEachPod(t *testing.T) {
	box := sharedSandbox(t)
	rep := run(t, 0, "run", "--sandbox", box.Name, "--auth", "jwt", scenario(t, `
name: "certified"
maxLateness: "1m" // what is tested is not this machine
phases: [
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 1, name: "certified", metadata: ENABLE_HBONE: "false", apps: [
			{name: "web", type: "sidecar", pods: 5, serviceAccount: "web"},
			{name: "edge", type: "gateway"},
			{name: "bare", type: "sidecar", pods: 2, csr: false},
		]},
		{action: "wait", until: "xds.synced == 8", timeout: "1m"},
		{action: "assert", expr: "certificates.count == 6"},
	]},
	{name: "churn", steps: [
		{action: "churnPods", rate: "2/s", duration: "2s", select: "app.name == 'web' || app.name == 'bare'", csr: true},
		{action: "wait", until: "pods.ready == 8 && xds.sidecar.open == 7 && xds.synced == 8", timeout: "1m"},
	]},
]
thresholds: [{expr: "certificates.count == 10 && certificates.errors == 0 && injection.count == 11"}]
`)).report(t)
	checkSync(t, rep)
	checkEmpty(t, box)
}
