package integration

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/sandbox"
)

// TestStartupOnSandbox: the run's own kubelet takes a known time, and the report finds it, where it was spent.
func TestStartupOnSandbox(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "startup"
kubelet: startDelay: "500ms"
phases: [{name: "pods", steps: [{action: "podStartup", count: 6, concurrency: 3}]}]
thresholds: [
	{expr: "startup.complete.count == 6 && startup.complete.errors == 0 && startup.complete.p50 >= duration('500ms')"},
	{expr: "startup.init.p50 >= duration('250ms') && startup.init.p50 > startup.scheduled.p50"},
	{expr: "pods.desired == 0 && pods.ready == 0"},
]`))
	if n := len(startLines(p)); n != 6 {
		t.Errorf("%d lines\n%s", n, p.stdout)
	}
	checkEmpty(t, box)
	// As a command, and until an interrupt.
	p = start(t, "startup", "--sandbox", box.Name, "--concurrency", "2", "--out", t.TempDir())
	await(t, "five pods", func() bool { return len(startLines(p)) >= 5 })
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 0 || !strings.Contains(p.stdout.String(), "startup.fullReady") {
		t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	checkEmpty(t, box)
}

// TestStartupOnCluster: for a cluster that plscript did not start, here the sandbox by its kubeconfig with a scheduler and
// kubelet that the test plays, whose every delay it knows.
func TestStartupOnCluster(t *testing.T) {
	box := sharedSandbox(t)
	run(t, 3, "startup", "--namespace", "default")
	spec := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(spec, []byte(`{apiVersion: v1, kind: Pod, metadata: {name: shop}, spec: {
		initContainers: [{name: prepare, image: prepare}], containers: [{name: istio-proxy, image: proxy}, {name: shop, image: shop}]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := playKubelet(t, client(t, box), 300*time.Millisecond)
	defer stop()
	p := run(t, 0, "startup", "--kubeconfig", box.Kubeconfig(), "--namespace", "default", "--concurrency", "2", "--count", "4", "--spec", spec, "--out", t.TempDir())
	figures := regexp.MustCompile(`scheduled (\S+)  init (\S+)  ready (\S+)  full ready (\S+)  complete (\S+)`)
	found := startLines(p)
	for _, line := range found {
		var all []time.Duration
		for _, text := range figures.FindStringSubmatch(line)[1:] {
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatalf("%s: %v", line, err) // ~ among them: there was no need to guess
			}
			all = append(all, d)
		}
		// Each milestone came 300 ms after the one before at the earliest. The way of one piece of news may take longer than
		// that of the next, so that between two of them less may be seen; from the beginning to the end, no less.
		if all[4] < 5*300*time.Millisecond || all[0] < 600*time.Millisecond || all[1] < 150*time.Millisecond || all[2] < 150*time.Millisecond || all[3] <= all[2] {
			t.Error(line)
		}
		if sum := all[0] + all[1] + all[3]; (sum - all[4]).Abs() > 3*time.Millisecond {
			t.Errorf("%s: the parts are %v", line, sum)
		}
	}
	if len(found) != 4 {
		t.Errorf("%d lines\n%s", len(found), p.stdout)
	}
	checkNoStartups(t, box)
}

// startLines are those that tell of one pod each.
func startLines(p *process) []string {
	return regexp.MustCompile(`(?m)^\S+-0-0-\d+  scheduled .*$`).FindAllString(p.stdout.String(), -1)
}

func checkNoStartups(t *testing.T, box *sandbox.Sandbox) {
	t.Helper()
	pods, err := client(t, box).CoreV1().Pods("default").List(context.Background(), metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods are left: %v", len(pods.Items), err)
	}
}

// playKubelet binds the pods of the namespace default to a node, and brings them up step by step, with a pause before
// each.
func playKubelet(t *testing.T, c *kubernetes.Clientset, pause time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := c.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var pods sync.WaitGroup
	pods.Go(func() {
		for e := range w.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok && e.Type == watch.Added {
				pods.Go(func() { bringUp(ctx, t, c, pod, pause) })
			}
		}
	})
	return func() {
		cancel()
		w.Stop()
		pods.Wait()
	}
}

func bringUp(ctx context.Context, t *testing.T, c *kubernetes.Clientset, pod *corev1.Pod, pause time.Duration) {
	now := metav1.Now
	up := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now()}}}
	}
	pods := c.CoreV1().Pods(pod.Namespace)
	time.Sleep(pause) // as those below
	err := pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: "somewhere"}}, metav1.CreateOptions{})
	for _, step := range []func(*corev1.PodStatus){
		func(s *corev1.PodStatus) { s.InitContainerStatuses = []corev1.ContainerStatus{up("prepare")} },
		func(s *corev1.PodStatus) {
			s.Phase, s.ContainerStatuses = corev1.PodRunning, []corev1.ContainerStatus{up("istio-proxy"), up("shop")}
		},
		func(s *corev1.PodStatus) { s.ContainerStatuses[1].Ready = true },
		func(s *corev1.PodStatus) {
			s.ContainerStatuses[0].Ready = true
			s.Conditions = append(s.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now()})
		},
	} {
		if err != nil {
			break
		}
		time.Sleep(pause) // the delay that the report has to find
		var live *corev1.Pod
		if live, err = pods.Get(ctx, pod.Name, metav1.GetOptions{}); err == nil {
			step(&live.Status)
			_, err = pods.UpdateStatus(ctx, live, metav1.UpdateOptions{})
		}
	}
	if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
		t.Errorf("pod %s: %v", pod.Name, err)
	}
}
