package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/sandbox"
)

const longScenario = `
name: "long"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 2, apps: [{name: "web", type: "sidecar", pods: 5}]}]},
	{name: "settle", steps: [{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired"}]},
	{name: "churn", steps: [{action: "churnPods", rate: "5/s", duration: "1h"}]},
]
`

// children are the processes that pid has started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	var out []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range stats {
		content, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// pid (comm) state ppid ...: the name may hold anything, so look behind its last parenthesis.
		fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(pid) {
			continue
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, child)
	}
	return out
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// checkNothingLeft demands that no private sandbox is left once p has ended.
func checkNothingLeft(t *testing.T, p *process) {
	t.Helper()
	for _, pid := range children(t, p.Process.Pid) {
		t.Errorf("process %d is left", pid)
	}
	dir, err := sandbox.DefaultStateDir()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), fmt.Sprintf("-%d-", p.Process.Pid)) {
			t.Errorf("%s is left", filepath.Join(dir, e.Name()))
		}
	}
}

// checkEmpty demands that the sandbox holds nothing of any run.
func checkEmpty(t *testing.T, box *sandbox.Sandbox) {
	t.Helper()
	c, ctx := client(t, box), context.Background()
	ours := metav1.ListOptions{LabelSelector: "plscript.dev/run"}
	ns, err := c.CoreV1().Namespaces().List(ctx, ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range ns.Items {
		t.Errorf("namespace %s is left (%s)", o.Name, o.Status.Phase)
	}
	pods, err := c.CoreV1().Pods("").List(ctx, ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range pods.Items {
		t.Errorf("pod %s/%s is left", o.Namespace, o.Name)
	}
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range nodes.Items {
		t.Errorf("node %s is left", o.Name)
	}
	leases, err := c.CoordinationV1().Leases("kube-node-lease").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range leases.Items {
		t.Errorf("lease %s is left", o.Name)
	}
	slices, err := c.DiscoveryV1().EndpointSlices("").List(ctx, ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range slices.Items {
		t.Errorf("endpoint slice %s/%s is left", o.Namespace, o.Name)
	}
}

// TestInterrupt ends a run in each of its stages by SIGINT or SIGTERM: it cleans up and exits 130.
func TestInterrupt(t *testing.T) {
	file := scenario(t, longScenario)
	for stage, at := range map[string]string{"starting": "starting istiod", "setting up": "mesh started", "churning": "churn started"} {
		t.Run(stage, func(t *testing.T) {
			p := start(t, "run", file)
			p.awaitOutput(t, at)
			sig := syscall.SIGINT
			if stage == "churning" {
				sig = syscall.SIGTERM
			}
			if err := p.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := p.wait(t); code != 130 {
				t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
			}
			checkNothingLeft(t, p)
		})
	}
	t.Run("on a named sandbox", func(t *testing.T) {
		box := sharedSandbox(t)
		p := start(t, "run", "--sandbox", box.Name, file)
		p.awaitOutput(t, "churn started")
		if err := p.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(t); code != 130 {
			t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
		}
		checkEmpty(t, box)
	})
}

// TestKilled kills a run that can do nothing about it: the processes of its private sandbox die with it.
func TestKilled(t *testing.T) {
	p := start(t, "run", scenario(t, longScenario))
	p.awaitOutput(t, "churn started")
	kids := children(t, p.Process.Pid)
	if len(kids) < 3 {
		t.Fatalf("only %d children", len(kids))
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	for _, pid := range kids {
		await(t, "the end of a child", func() bool { return !alive(pid) })
	}
}

// TestCleanAfterKill kills a run on a named sandbox and removes what it left, by the run's id alone.
func TestCleanAfterKill(t *testing.T) {
	box := sharedSandbox(t)
	p := start(t, "run", "--sandbox", box.Name, scenario(t, longScenario))
	id := p.runID(t)
	p.awaitOutput(t, "churn started")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	pods, err := client(t, box).CoreV1().Pods("").List(context.Background(), metav1.ListOptions{LabelSelector: "plscript.dev/run=" + id})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("%v: the killed run left no pod to clean up", err)
	}

	// Another run of the same scenario meets the leftovers, leaves them alone and says what to do.
	again := run(t, 3, "run", "--sandbox", box.Name, scenario(t, longScenario))
	if text := again.stdout.String() + again.stderr.String(); !strings.Contains(text, "plscript clean --run "+id) {
		t.Errorf("it does not name the command:\n%s", text)
	}
	left, err := client(t, box).CoreV1().Pods("").List(context.Background(), metav1.ListOptions{LabelSelector: "plscript.dev/run=" + id})
	if err != nil || len(left.Items) < 10 {
		t.Fatalf("%v: %d pods of the killed run are left after another run", err, len(left.Items))
	}

	run(t, 0, "clean", "--sandbox", box.Name, "--run", id)
	checkEmpty(t, box)
}
