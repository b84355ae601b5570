package integration

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/sandbox"
)

// held is a phase in which a scenario waits until the test has looked at the cluster.
const held = `{name: "held", steps: [{action: "wait", until: "kube.list('v1', 'ConfigMap', {'namespace': 'default', 'name': 'looked'}).size() == 1"}]}`

// whileHeld runs a scenario that has the phase held, and calls look in it.
func whileHeld(t *testing.T, box *sandbox.Sandbox, text string, look func(c *kubernetes.Clientset)) *process {
	t.Helper()
	c, ctx := client(t, box), t.Context()
	p := start(t, "run", "--sandbox", box.Name, scenario(t, strings.ReplaceAll(text, "HELD", held)))
	ended := func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	}
	await(t, "the phase to be held", func() bool { return ended() || strings.Contains(p.stderr.String(), "held started") })
	if ended() {
		t.Fatalf("it ended before\n%s\n%s", p.stdout, p.stderr)
	}
	look(c)
	looked := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "looked"}}
	if _, err := c.CoreV1().ConfigMaps("default").Create(ctx, looked, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	code := p.wait(t)
	if err := c.CoreV1().ConfigMaps("default").Delete(context.WithoutCancel(ctx), "looked", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	if code != 0 {
		t.Fatalf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	return p
}

// slicesOf are the EndpointSlices of a Service.
func slicesOf(t *testing.T, c *kubernetes.Clientset, ns, service string) []discoveryv1.EndpointSlice {
	t.Helper()
	list, err := c.DiscoveryV1().EndpointSlices(ns).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// TestClusterModes has one sandbox with a kube-controller-manager and two istiods, on which the modes take turns.
func TestClusterModes(t *testing.T) {
	name := fmt.Sprintf("test-modes-%d", os.Getpid())
	box, err := sandbox.Up(t.Context(), name, sandbox.Config{Controllers: true, Istiods: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sandbox.Down(context.Background(), name, ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("fake-nodes", func(t *testing.T) { checkFakeNodes(t, box) })
	t.Run("real", func(t *testing.T) { checkReal(t, box) })
	t.Run("istiods", func(t *testing.T) { checkIstiods(t, box) })
	t.Run("sandbox", func(t *testing.T) {
		p := run(t, 3, "run", "--sandbox", name, scenario(t, `
name: "twice"
phases: [{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "twice", apps: [{name: "web"}]}]}]
`))
		if !strings.Contains(p.stderr.String(), `"fake-nodes"`) {
			t.Errorf("stderr does not say what to do:\n%s", p.stderr)
		}
	})
	checkEmpty(t, box)
}

// checkFakeNodes has the real controllers make slices and ServiceAccounts and end the namespaces, for pods that only the
// fake kubelet runs.
func checkFakeNodes(t *testing.T, box *sandbox.Sandbox) {
	whileHeld(t, box, `
name: "fake-nodes"
cluster: "fake-nodes"
kubelet: {shutdown: "1s", terminationGracePeriod: "2s"}
maxLateness: "1m" // how fast this machine is, is not what is tested
phases: [
	{name: "nodes", steps: [{action: "createNodes", count: 2, regions: 2, capacity: {cpu: "8", pods: 100}, kubeletVersion: "v1.35.1"}]},
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "fake", apps: [
		{name: "web", type: "sidecar", pods: 4},
		{name: "many", pods: 120},
		{name: "legacy", pods: 2, selector: false},
		{name: "db", pods: 2, headless: true},
	]}]},
	{name: "settle", steps: [{action: "wait", until: "pods.ready == 128 && endpoints.ready == 128 && xds.synced == 4"}]},
	HELD,
	{name: "restart", steps: [
		{action: "churnPods", rate: "5/s", duration: "1s", select: "app.name == 'web'"},
		{action: "rolloutRestart", select: "app.name == 'web'"},
		{action: "scale", select: "app.name == 'many'", to: 3},
	]},
	{name: "settled", steps: [{action: "wait", until: "pods.ready == 11 && endpoints.ready == 11 && xds.synced == 4"}]},
	{name: "end", steps: [{action: "delete", unit: "namespace", select: "true"}, {action: "wait", until: "kube.list('v1', 'Namespace', {'name': 'fake'}).size() == 0"}]},
]
thresholds: [{expr: "xds.disconnects == 0"}, {expr: "changes.endpoint.count > 0 && changes.endpoint.pending == 0"}]
`, func(c *kubernetes.Clientset) {
		ctx := t.Context()
		many := slicesOf(t, c, "fake", "many")
		sum := 0
		for _, s := range many {
			sum += len(s.Endpoints)
			if by := s.ManagedFields[0].Manager; by != "kube-controller-manager" {
				t.Errorf("slice %s was made by %s", s.Name, by)
			}
		}
		if sum != 120 || len(many) < 2 {
			t.Errorf("%d endpoints in %d slices", sum, len(many))
		}
		if own := slicesOf(t, c, "fake", "legacy"); len(own) != 1 || own[0].Labels[discoveryv1.LabelManagedBy] != "plscript.dev" || len(own[0].Endpoints) != 2 {
			t.Errorf("slices of the Service without a selector: %+v", own)
		}
		if db := slicesOf(t, c, "fake", "db"); len(db) != 1 || db[0].Endpoints[0].Hostname == nil {
			t.Errorf("slices of the headless Service: %+v", db)
		}
		nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil || len(nodes.Items) != 2 {
			t.Fatalf("%d nodes, %v", len(nodes.Items), err)
		}
		second := nodes.Items[1]
		if second.Labels[corev1.LabelTopologyZone] != "region-b-zone-a" || second.Status.NodeInfo.KubeletVersion != "v1.35.1" ||
			second.Status.Capacity.Cpu().String() != "8" || second.Status.Capacity.Pods().Value() != 100 {
			t.Errorf("node %+v", second)
		}
		for _, address := range box.MonitoringAddresses() {
			proxies, err := istiod.NewClient(address, nil).Syncz(ctx)
			if err != nil || len(proxies) != 2 {
				t.Errorf("the istiod at %s has %d of the 4 proxies, %v", address, len(proxies), err)
			}
		}
	})
}

// checkReal looks at a cluster that must get neither nodes nor pods, and whose Services have endpoints all the same.
func checkReal(t *testing.T, box *sandbox.Sandbox) {
	whileHeld(t, box, `
name: "real"
cluster: "real"
kubelet: {shutdown: "1s"}
maxLateness: "1m"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "real", apps: [
		{name: "web", type: "sidecar", pods: 4, inject: "none"},
		{name: "many", pods: 110},
	]}]},
	{name: "settle", steps: [{action: "wait", until: "pods.ready == 114 && endpoints.ready == 114 && xds.synced == 4"}]},
	HELD,
	{name: "churn", steps: [{action: "churnPods", rate: "10/s", duration: "2s", select: "app.name == 'many'"}]},
	{name: "settled", steps: [{action: "wait", until: "pods.terminating == 0 && changes.endpoint.pending == 0 && endpoints.ready == 114"}]},
]
thresholds: [{expr: "xds.disconnects == 0"}, {expr: "changes.endpoint.count >= 20"}]
`, func(c *kubernetes.Clientset) {
		ctx := t.Context()
		pods, err := c.CoreV1().Pods("real").List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) > 0 {
			t.Errorf("%d pods, %v", len(pods.Items), err)
		}
		nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil || len(nodes.Items) > 0 {
			t.Errorf("%d nodes, %v", len(nodes.Items), err)
		}
		svc, err := c.CoreV1().Services("real").Get(ctx, "many", metav1.GetOptions{})
		if err != nil || len(svc.Spec.Selector) > 0 {
			t.Errorf("service %+v, %v", svc, err)
		}
		n := 0
		for _, s := range slicesOf(t, c, "real", "many") {
			n += len(s.Endpoints)
			if s.Endpoints[0].TargetRef != nil {
				t.Errorf("slice %s refers to a Pod: %v", s.Name, s.Endpoints[0].TargetRef)
			}
		}
		if n != 110 {
			t.Errorf("%d endpoints", n)
		}
	})
}

// TestKubeletsThatTakeTheirTime: pods that start late, and cease to be ready now and then.
func TestKubeletsThatTakeTheirTime(t *testing.T) {
	box := sharedSandbox(t)
	run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "late"
kubelet: {startDelay: "2s", readinessFlaps: {every: "6s", down: "1s"}}
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "late", apps: [{name: "web", type: "sidecar", pods: 6}]}]},
	{name: "pending", steps: [{action: "assert", expr: "pods.ready == 0 && pods.desired == 6"}]},
	{name: "ready", steps: [{action: "wait", until: "pods.ready >= 5"}, {action: "assert", expr: "elapsed >= duration('2s')"}]},
	{name: "flap", steps: [
		{action: "wait", until: "pods.ready < 6 && endpoints.ready == pods.ready"},
		{action: "wait", until: "pods.ready == 6 && endpoints.ready == 6 && xds.synced == 6"},
	]},
]
thresholds: [{expr: "xds.disconnects == 0"}]
`))
	checkEmpty(t, box)
}

// TestPodsThatTakeTheirTimeToEnd deletes pods through the api-server, past it and with their namespace: they serve and
// keep their streams until they have stopped, and the run writes what was planned.
func TestPodsThatTakeTheirTimeToEnd(t *testing.T) {
	box := sharedSandbox(t)
	r := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "ending"
kubelet: shutdown: "3s"
maxLateness: "1m" // how fast this machine is, is not what is tested
_leaving: "kube.list('v1', 'Pod', {'namespace': 'ending'}).exists(p, has(p.metadata.deletionTimestamp) && p.metadata.deletionGracePeriodSeconds == 30)"
_serving: "kube.list('discovery.k8s.io/v1', 'EndpointSlice', {'namespace': 'ending'}).exists(s, s.endpoints.exists(e, e.conditions.terminating && e.conditions.serving && !e.conditions.ready))"
_up: "pods.terminating == 0 && pods.ready == pods.desired && endpoints.ready == endpoints.desired && xds.open == xds.desired && xds.synced == xds.desired"
phases: [
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 1, name: "ending", apps: [{name: "web", type: "sidecar", pods: 4}, {name: "amb", type: "ambient", pods: 2}]},
		{action: "wait", until: _up, timeout: "1m"},
	]},
	{name: "api", steps: [
		{action: "churnPods", rate: "4/s", duration: "1s", select: "app.name == 'web'"},
		{action: "wait", until: "pods.terminating == 4 && pods.ready == 6 && xds.open == 8 && xds.synced == 4 && \(_serving)", timeout: "1m"},
		{action: "assert", expr: _leaving},
		{action: "wait", until: "\(_up) && changes.pending == 0", timeout: "1m"},
	]},
	{name: "store", steps: [
		{action: "scale", select: "app.name == 'web'", to: 2},
		{action: "wait", until: "pods.terminating == 2 && xds.open == 4 && xds.synced == 2 && \(_serving)", timeout: "1m"},
		{action: "assert", expr: _leaving},
		{action: "wait", until: _up, timeout: "1m"},
	]},
	{name: "namespace", steps: [
		{action: "delete", unit: "namespace", select: "true"},
		{action: "wait", until: "pods.terminating == 4 && xds.open == 2", timeout: "1m"},
		{action: "wait", until: "kube.list('v1', 'Namespace', {'name': 'ending'}).size() == 0 && xds.open == 0", timeout: "1m"},
	]},
]
thresholds: [{expr: "xds.disconnects == 0 && xds.nacks == 0 && writer.errors == 0"}]
`)).report(t)
	checkPlan(t, r)
	checkSync(t, r)
	checkEmpty(t, box)
}

// TestARunDoesNotWaitForWhatTerminates: neither its end nor an interrupt does, and the cleanup leaves nothing.
func TestARunDoesNotWaitForWhatTerminates(t *testing.T) {
	box := sharedSandbox(t)
	const leaving = `
name: "leaving"
kubelet: {shutdown: "10m", terminationGracePeriod: "20m"}
phases: [{name: "mesh", steps: [
	{action: "createNamespaces", count: 2, name: "leaving", apps: [{name: "web", type: "sidecar", pods: 2}]},
	{action: "wait", until: "xds.synced == 4", timeout: "1m"},
	{action: "scale", select: "ns.index == 0", to: 0},
	{action: "delete", unit: "namespace", select: "ns.index == 1"},
	{action: "wait", until: "pods.terminating == 4"},
	{action: "sleep", for: "SLEEP"},
]}]`
	run(t, 0, "run", "--sandbox", box.Name, scenario(t, strings.ReplaceAll(leaving, "SLEEP", "0s")))
	checkEmpty(t, box)
	p := start(t, "run", "--sandbox", box.Name, scenario(t, strings.ReplaceAll(leaving, "SLEEP", "10m")))
	await(t, "pods that terminate", func() bool { return strings.Count(p.stderr.String(), "wait passed") == 2 })
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 130 {
		t.Errorf("exit %d\n%s", code, p.stderr)
	}
	checkEmpty(t, box)
}
