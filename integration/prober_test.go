package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestProber probes the ingress of a sandbox by streams and by traffic, which a gateway process of its own carries.
func TestProber(t *testing.T) {
	box := sharedSandbox(t)
	p := start(t, "prober", "--sandbox", box.Name, "--replicas=12", "--delay=50ms", "--delay-threshold=2")
	p.awaitOutput(t, "probe started")
	var gateway int
	await(t, "the gateway process", func() bool {
		gateway = gatewayOf(t, p)
		return gateway != 0
	})
	if args := arguments(t, gateway); len(args) != 6 || args[2] != "--istiod" || args[3] != box.XDSAddress() || args[4] != "--node" || !strings.HasPrefix(args[5], "router~") {
		t.Errorf("the gateway knows more than istiod and its node: %q", args)
	}
	if code := p.wait(t); code != 0 {
		t.Fatalf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	await(t, "the end of the gateway process", func() bool { return !alive(gateway) })
	r := p.report(t)
	checkSync(t, r)
	checkPlan(t, r)
	checkEmpty(t, box)
	curves := 0
	for _, s := range r.Stages {
		if len(s.Curve) == 0 {
			continue
		}
		curves++
		if s.Done != 10 || s.Errors != 0 || len(s.Curve) != 10 || s.Curve[0].At != 3 || s.Time.P50 <= 0 || s.Time.P99 < s.Time.P50 {
			t.Errorf("%+v", s)
		}
	}
	if curves != 2 {
		t.Errorf("%d curves in %+v", curves, r.Stages)
	}
	// A stream has a route before traffic can follow it; the polls make the difference.
	xds, http := r.Readings["probe.xds.p50"].(float64), r.Readings["probe.http.p50"].(float64)
	if xds <= 0 || http <= 0 {
		t.Errorf("p50 by streams %v, by traffic %v", xds, http)
	}
}

// TestProberKilled: the gateway process dies with the run that started it, however that ends.
func TestProberKilled(t *testing.T) {
	box := sharedSandbox(t)
	p := start(t, "prober", "--sandbox", box.Name, "--replicas=10000", "--delay=10ms")
	p.awaitOutput(t, "probe started")
	var gateway int
	await(t, "the gateway process", func() bool {
		gateway = gatewayOf(t, p)
		return gateway != 0
	})
	if err := p.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	await(t, "the end of the gateway process", func() bool { return !alive(gateway) })
	run(t, 0, "clean", "--sandbox", box.Name, "--run", p.runID(t))
	checkEmpty(t, box)
}

// gatewayOf is the gateway process that p has started, 0 if there is none.
func gatewayOf(t *testing.T, p *process) int {
	t.Helper()
	for _, pid := range children(t, p.Process.Pid) {
		if args := arguments(t, pid); len(args) > 1 && args[1] == "gateway" {
			return pid
		}
	}
	return 0
}

// arguments is the command line of a process; none if it has ended.
func arguments(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

// TestProberExisting probes a cluster by its kubeconfig: a stream beside the cluster's gateways shows what they get, and
// without an address there is no traffic.
func TestProberExisting(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 0, "prober", "--kubeconfig", box.Kubeconfig(), "--pilot-address", box.XDSAddress(), "--auth=plaintext", "--replicas=5", "--delay=20ms")
	r := p.report(t)
	if r.Readings["probe.xds.count"] != 5.0 || r.Readings["probe.http.count"] != nil || r.Readings["xds.gateway.synced"] != 1.0 {
		t.Errorf("readings %v", r.Readings)
	}
	checkEmpty(t, box)
	// A gateway that takes no routes is seen by traffic, and its routes are errors.
	p = run(t, 5, "prober", "--kubeconfig", box.Kubeconfig(), "--pilot-address", box.XDSAddress(), "--auth=plaintext", "--replicas=1", "--limit=300ms",
		"--gateway-address", box.MonitoringAddress())
	if r := p.report(t); r.Readings["probe.http.errors"] != 1.0 || r.Readings["probe.xds.count"] != 1.0 {
		t.Errorf("readings %v", r.Readings)
	}
	run(t, 4, "prober", "--kubeconfig", box.Kubeconfig(), "--pilot-address", box.XDSAddress(), "--auth=plaintext", "--replicas=1", "--gateway-address", "127.0.0.1:1")
	checkEmpty(t, box)
}

// TestImpersonate opens a stream beside each proxy of a mesh that another run has made, and follows its pods.
func TestImpersonate(t *testing.T) {
	box := sharedSandbox(t)
	mesh := start(t, "run", "--sandbox", box.Name, scenario(t, `
name: "live"
maxLateness: "1m" // how fast this machine is, is not what is tested
openEnded: true
phases: [
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 1, name: "live", waypoint: "waypoint", apps: [
			{name: "waypoint", type: "waypoint"}, {name: "edge", type: "gateway"}, {name: "web", type: "sidecar", pods: 2}, {name: "bare", pods: 3},
		]},
		{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired", timeout: "1m"},
	]},
	{name: "churn", steps: [
		{action: "churnPods", rate: "2/s", select: "app.name == 'web'", background: true},
		{action: "sleep", for: "1h"},
	]},
]
`))
	mesh.awaitOutput(t, "churn started")
	p := run(t, 0, "impersonate", "--sandbox", box.Name, "--selector=gateway.istio.io/managed", "--replicas=2", "--duration=2s")
	if got := p.report(t).Readings; got["xds.waypoint.synced"] != 2.0 || got["xds.desired"] != 2.0 {
		t.Errorf("by label: %v", got)
	}
	p = run(t, 0, "impersonate", "--sandbox", box.Name, "--selector=external", "--duration=1s")
	if got := p.report(t).Readings; got["xds.sidecar.synced"] != 3.0 || got["xds.desired"] != 3.0 {
		t.Errorf("external: %v", got)
	}
	p = start(t, "impersonate", "--sandbox", box.Name, "--namespace=live")
	p.awaitOutput(t, "xds 4/4")
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 0 && code != 5 { // a pod may just have come
		t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	got := p.report(t).Readings
	if got["xds.gateway.open"] != 1.0 || got["xds.waypoint.open"] != 1.0 || got["xds.reconnects"] == nil {
		t.Errorf("followed: %v", got)
	}
	if len(p.report(t).Writes) != 0 {
		t.Errorf("it has written %v", p.report(t).Writes)
	}
	if err := mesh.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := mesh.wait(t); code != 0 {
		t.Errorf("the mesh: exit %d\n%s\n%s", code, mesh.stdout, mesh.stderr)
	}
	checkEmpty(t, box)
}
