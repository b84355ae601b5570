package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/sandbox"
)

// TestZtunnelsOnDemand has the ztunnels of a mesh ask for addresses while pods come and go, and then two that stand beside
// it: what becomes of a pod reaches the one that has asked for its Service, and the other hears nothing.
func TestZtunnelsOnDemand(t *testing.T) {
	box := sharedSandbox(t)
	r := whileHeld(t, box, `
name: "demand"
maxLateness: "1m" // how fast this machine is, is not what is tested
proxies: onDemand: true
phases: [
	{name: "mesh", steps: [
		{action: "createNodes", count: 3, ztunnel: true},
		{action: "createNamespaces", count: 1, name: "demand", apps: [{name: "web", type: "ambient", replicas: 3, pods: 3}, {name: "edge", type: "gateway"}]},
		{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired && xds.ztunnel.desired == 3"},
		{action: "assert", expr: "xds.wds.resources >= 9 && xds.wds.resources < 30"}, // a ztunnel is sent the pods of its node, no Service
	]},
	{name: "traffic", parallel: true, steps: [
		{action: "demandAddresses", rate: "40/s", duration: "2s"},
		{action: "demandAddresses", count: 50, from: "app.type == 'gateway'", by: "pod"},
		{action: "churnPods", rate: "2/s", duration: "2s", select: "app.name == 'web-2'"},
	]},
	{name: "settle", steps: [{action: "wait", until: "xds.demand.pending == 0 && xds.synced == xds.desired && changes.pending == 0"}]},
	HELD,
]
thresholds: [
	{expr: "xds.demand.count >= 9 && xds.demand.errors == 0 && xds.demand.p99 < duration('1m')"},
	{expr: "xds.unanswered == 0 && xds.nacks == 0"},
]
`, func(c *kubernetes.Clientset) { demandBeside(t, box, c) }).report(t)
	checkSync(t, r)
	checkEmpty(t, box)
}

// demandBeside has one of two ztunnels ask for a Service whose pod then goes.
func demandBeside(t *testing.T, box *sandbox.Sandbox, c *kubernetes.Clientset) {
	signal := make(wake, 1)
	pool := xdspool.New(xdspool.Config{Addresses: []string{box.XDSAddress()}, Clock: runtimetest.Clock{}, Notify: signal})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- pool.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}()
	for i := range 2 {
		pool.Want(runtime.Proxy{
			Class: runtime.ClassZtunnel, Namespace: "istio-system", Name: fmt.Sprint("beside-", i), IP: fmt.Sprintf("10.200.0.%d", i+1),
			Node: fmt.Sprint("nowhere-", i), OnDemand: true,
		})
	}
	signal.until(t, pool, runtime.Readings{"xds.synced": int64(2)})
	pool.Demand(runtime.Demand{Ztunnel: "istio-system/beside-0", Address: "demand/web-0.demand.svc.cluster.local"}, time.Now())
	pool.Demand(runtime.Demand{Ztunnel: "istio-system/beside-0", Address: "/192.0.2.200"}, time.Now())
	signal.until(t, pool, runtime.Readings{"xds.demand.pending": int64(0), "xds.demand.unknown": int64(1), "xds.synced": int64(2)})
	asked, idle := workloadsOf(pool, 0), workloadsOf(pool, 1)
	if asked.Held != 4 || idle.Held != 0 {
		t.Fatalf("who asked for a Service of three pods holds %d addresses, and who did not %d", asked.Held, idle.Held)
	}

	name := podOf(t, c, "demand", "web-0")
	pod, err := c.CoreV1().Pods("demand").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gone := pool.Track(runtime.Change{
		Kind: runtime.ChangeEndpoint, Hosts: []string{"web-0.demand.svc.cluster.local"}, Marker: pod.Status.PodIP, Workload: "demand/" + name,
		Removed: true, Scheduled: time.Now(),
	})
	if err := c.CoreV1().Pods("demand").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone.Written()
	signal.until(t, pool, runtime.Readings{"changes.endpoint.count": int64(1), "changes.endpoint.pending": int64(0), "changes.endpoint.unobserved": int64(0)})
	if held := workloadsOf(pool, 0).Held; held != 3 {
		t.Errorf("after one of the three pods has gone, %d addresses are held", held)
	}
	// What is sent to the other after its next demand is sent after all that the pod's end has led to.
	pool.Demand(runtime.Demand{Ztunnel: "istio-system/beside-1", Address: "demand/web-1.demand.svc.cluster.local"}, time.Now())
	signal.until(t, pool, runtime.Readings{"xds.demand.pending": int64(0), "xds.synced": int64(2)})
	all := runtime.Readings{}
	if pool.Read(all); all["xds.wds.removed"] != int64(2) { // the address that nobody has, and the pod
		t.Errorf("%v removals", all["xds.wds.removed"])
	}
	if held := workloadsOf(pool, 1).Held; held != 4 {
		t.Errorf("the other asked for one Service of three pods and holds %d addresses", held)
	}
}

// workloadsOf is where the subscription of a ztunnel stands.
func workloadsOf(pool *xdspool.Pool, n int) xdspool.TypeStatus {
	for _, p := range pool.List() {
		if p.Key == fmt.Sprint("istio-system/beside-", n) && len(p.Types) > 0 {
			return p.Types[0]
		}
	}
	return xdspool.TypeStatus{}
}
