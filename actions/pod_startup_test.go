package actions

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// kubelets run the pods that are written, with delays that a test knows, and tells of what becomes of them as a watch does.
type kubelets struct {
	runtimetest.Writer
	// script is what happens to a pod: how long after its create, and what the kubelet makes of it.
	script func(pod *corev1.Pod) []change

	mu     sync.Mutex
	handle func(runtime.LivePod)
	alive  int
	most   int // pods at once
}

type change struct {
	after time.Duration // the create
	make  func(*corev1.Pod)
	gone  bool
}

func (k *kubelets) Submit(ctx context.Context, op runtime.Op) error {
	pod, ok := op.Object.(*corev1.Pod)
	if ok && ctx.Err() == nil {
		k.mu.Lock()
		switch op.Verb {
		case runtime.VerbCreate:
			k.alive++
			k.most = max(k.most, k.alive)
			go k.run(pod)
		case runtime.VerbDelete:
			k.alive--
		}
		k.mu.Unlock()
	}
	return k.Writer.Submit(ctx, op)
}

func (k *kubelets) run(pod *corev1.Pod) {
	start := time.Now()
	for _, c := range k.script(pod) {
		time.Sleep(time.Until(start.Add(c.after)))
		pod = pod.DeepCopy()
		if c.make != nil {
			c.make(pod)
		}
		k.mu.Lock()
		k.handle(runtime.LivePod{Pod: pod, Gone: c.gone})
		k.mu.Unlock()
	}
}

func (k *kubelets) Follow(ctx context.Context, _, _ string, handle func(runtime.LivePod)) error {
	k.mu.Lock()
	k.handle = handle
	k.mu.Unlock()
	time.Sleep(time.Second) // a watch takes a while until it is up, which must not count
	handle(runtime.LivePod{Synced: true})
	<-ctx.Done()
	return nil
}

// Lines keeps what is shown.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Result(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

type files map[string]string

func (f files) Open(_, name string) (io.ReadCloser, error) {
	text, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("%s: no such file", name)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// started runs one step on kubelets with that script.
func started(t *testing.T, step *podStartup, k *kubelets, in files) (*runtime.Outcome, []string, map[runtime.Stage]runtime.StageOutcome) {
	t.Helper()
	step.Patience = max(step.Patience, ir.Duration(time.Minute))
	s := runtimetest.Scenario(step)
	s.Cluster = ir.ClusterReal
	g, ds := runtime.Compile(t.Context(), s, in)
	if ds != nil {
		t.Fatal(ds)
	}
	shown := &lines{}
	stages := &runtime.Stages{}
	out := g.Run(t.Context(), runtime.Parts{
		RunID: "r", Clock: runtimetest.Clock{}, Writer: k, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{}, Stages: stages,
		Services: runtime.Services{Pods: k, Results: shown},
	})
	by := map[runtime.Stage]runtime.StageOutcome{}
	for _, o := range stages.Outcomes() {
		by[o.Stage] = o
	}
	return out, shown.all, by
}

// stamp is a moment as the kubelet writes it: by its own clock, which is an hour off, in whole seconds.
func stamp() metav1.Time { return metav1.NewTime(time.Now().Add(-time.Hour).Truncate(time.Second)) }

func runningNow() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp()}}
}

func bind(p *corev1.Pod) {
	p.Spec.NodeName = "node"
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: stamp()}}
}

func startInit(p *corev1.Pod) {
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: p.Spec.InitContainers[0].Name, State: runningNow()}}
}

func startApp(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, State: runningNow()})
	}
}

func serve(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for i := range p.Status.ContainerStatuses {
			if c := &p.Status.ContainerStatuses[i]; c.Name == name {
				c.Ready = true
			}
		}
	}
}

func beReady(p *corev1.Pod) {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: stamp()})
}

const ms = time.Millisecond

// injected is what the api-server makes of a pod that gets a sidecar: the live pod has more containers than were written.
func injected(p *corev1.Pod) {
	bind(p)
	p.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": "shop"}
	p.Spec.InitContainers = []corev1.Container{{Name: "istio-validation"}}
	p.Spec.Containers = append([]corev1.Container{{Name: "istio-proxy"}}, p.Spec.Containers...)
}

const shopPod = `
apiVersion: v1
kind: Pod
metadata: {generateName: shop-, labels: {app: shop}, finalizers: [stay]}
spec:
  containers:
  - {name: logs, image: logs}
  - {name: shop, image: shop}
`

// TestPodStartup finds the delays that the kubelet is known to have, to the millisecond, though its own clock is an hour
// off and counts seconds.
func TestPodStartup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		spec   string
		script []change
		want   string
	}{
		{"a sidecar, and containers of other names", shopPod, []change{
			{50 * ms, injected, false}, {1250 * ms, startInit, false}, {3000 * ms, startApp("istio-proxy"), false}, {3100 * ms, startApp("shop"), false},
			{3200 * ms, serve("istio-proxy"), false}, {4600 * ms, serve("shop"), false}, {4750 * ms, beReady, false},
		}, "shop-0-0-0  scheduled 1.25s  init 1.85s  ready 1.5s  full ready 1.65s  complete 4.75s"},
		{"no init container", "", []change{
			{70 * ms, bind, false}, {900 * ms, startApp("app"), false}, {1900 * ms, serve("app"), false}, {1900 * ms, beReady, false},
		}, "startup-0-0-0  scheduled 70ms  init 830ms  ready 1s  full ready 1s  complete 1.9s"},
		// All at once: the kubelet's stamps say that the application took two seconds to get ready.
		{"one change for all", "", []change{
			{70 * ms, bind, false}, {5 * time.Second, func(p *corev1.Pod) {
				startApp("app")(p)
				p.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(stamp().Add(-2 * time.Second))
				serve("app")(p)
				beReady(p)
			}, false},
		}, "startup-0-0-0  scheduled 70ms  init ~2.93s  ready ~2s  full ready ~2s  complete 5s"},
		// Stamps that claim more time than there was are cut to what was seen.
		{"stamps that cannot be", "", []change{
			{70 * ms, bind, false}, {500 * ms, func(p *corev1.Pod) {
				startApp("app")(p)
				p.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(stamp().Add(-time.Minute))
				serve("app")(p)
				beReady(p)
			}, false},
		}, "startup-0-0-0  scheduled 70ms  init ~0s  ready ~430ms  full ready ~430ms  complete 500ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				step := &podStartup{Namespace: "default", Concurrency: 1, Count: 1}
				if tc.spec != "" {
					step.Spec = "pod.yaml"
				}
				k := &kubelets{script: func(*corev1.Pod) []change { return tc.script }}
				out, shown, _ := started(t, step, k, files{"pod.yaml": tc.spec})
				if out.Exit != runtime.ExitPass || len(shown) == 0 || shown[0] != tc.want {
					t.Errorf("exit %d, %v\n%q, want\n%q", out.Exit, out.Err, shown, tc.want)
				}
				if estimated := strings.Contains(tc.want, "~ ") || strings.Contains(tc.want, "~"); estimated != (len(shown) == 2) {
					t.Errorf("said %q", shown)
				}
			})
		})
	}
}

// TestPodStartupWorkers: so many pods at a time, so many in all, each deleted again, and every figure in the stages.
func TestPodStartupWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &kubelets{script: func(*corev1.Pod) []change {
			return []change{{100 * ms, bind, false}, {200 * ms, startApp("app"), false}, {400 * ms, serve("app"), false}, {500 * ms, beReady, false}}
		}}
		out, shown, stages := started(t, &podStartup{Namespace: "shop", Concurrency: 3, Count: 10, Cooldown: ir.Duration(time.Second), Inject: new(bool)}, k, nil)
		if out.Exit != runtime.ExitPass || len(shown) != 10 || k.most != 3 || k.alive != 0 {
			t.Errorf("exit %d, %d lines, %d at a time, %d left: %v", out.Exit, len(shown), k.most, k.alive, out.Err)
		}
		// Four rounds of half a second with three pauses between, and one after the last.
		if took := out.Ended.Sub(out.Started); took != time.Second+4*500*ms+4*time.Second {
			t.Errorf("took %v", took)
		}
		for stage, want := range map[runtime.Stage]time.Duration{
			runtime.StageStartupScheduled: 100 * ms, runtime.StageStartupInit: 100 * ms, runtime.StageStartupReady: 200 * ms,
			runtime.StageStartupFullReady: 300 * ms, runtime.StageStartup: 500 * ms,
		} {
			if o := stages[stage]; o.Count != 10 || o.Errors != 0 || o.P50.Round(10*ms) != want || o.Max.Round(10*ms) != want {
				t.Errorf("%s: %+v, want %v", stage, o, want)
			}
		}
		for _, w := range k.Writes() {
			if pod, ok := w.Object.(*corev1.Pod); ok && w.Verb == runtime.VerbCreate && (pod.Labels["sidecar.istio.io/inject"] != "false" || pod.Spec.NodeName != "" || w.Namespace != "shop") {
				t.Errorf("wrote %+v", pod)
			}
		}
	})
}

// TestPodStartupFailures: a pod that does not get ready is counted, with the reason, and does not keep others from
// starting; a write that fails ends the step.
func TestPodStartupFailures(t *testing.T) {
	t.Parallel()
	waits := func(p *corev1.Pod) {
		bind(p)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}}}
	}
	unschedulable := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available"}}
	}
	for _, tc := range []struct {
		script []change
		want   string
	}{
		{[]change{{ms, waits, false}}, "not ready after 1m0s: container app waits: ErrImagePull: no such image"},
		{[]change{{ms, unschedulable, false}}, "not ready after 1m0s: Unschedulable: 0/3 nodes are available"},
		{nil, "not ready after 1m0s"},
		{[]change{{ms, bind, false}, {2 * ms, nil, true}}, "was deleted before it was ready"},
		{[]change{{ms, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, false}}, "ended as Failed before it was ready"},
	} {
		t.Run(tc.want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := &kubelets{script: func(*corev1.Pod) []change { return tc.script }}
				out, shown, stages := started(t, &podStartup{Namespace: "default", Concurrency: 1, Count: 2}, k, nil)
				if o := stages[runtime.StageStartup]; out.Exit != runtime.ExitPass || o.Errors != 2 || o.Count != 0 || k.alive != 0 {
					t.Errorf("exit %d, %+v, %d left", out.Exit, o, k.alive)
				}
				if len(shown) != 2 || !strings.Contains(shown[0], tc.want) {
					t.Errorf("said %q", shown)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		k := &kubelets{script: func(*corev1.Pod) []change { return nil }}
		k.Fail = func(op runtime.Op) error { return fmt.Errorf("namespaces %q not found", op.Object.GetNamespace()) }
		out, _, _ := started(t, &podStartup{Namespace: "nowhere", Concurrency: 2, Count: 5}, k, nil)
		if out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), `create Pod nowhere/startup-0-0-`) || !strings.Contains(out.Err.Error(), "not found") {
			t.Errorf("exit %d: %v", out.Exit, out.Err)
		}
	})
}

// TestPodStartupDuration: no pod is started after it, and those under way are measured.
func TestPodStartupDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &kubelets{script: func(*corev1.Pod) []change {
			return []change{{ms, bind, false}, {400 * ms, startApp("app"), false}, {400 * ms, serve("app"), false}, {400 * ms, beReady, false}}
		}}
		_, shown, _ := started(t, &podStartup{Namespace: "default", Concurrency: 1, Duration: ir.Duration(time.Second)}, k, nil)
		if len(shown) != 3 || k.alive != 0 {
			t.Errorf("%d pods, %d left", len(shown), k.alive)
		}
	})
}

// TestPodStartupPlan: in a sandbox the pods have a node of the run's own, and the plan is what the run does.
func TestPodStartupPlan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&podStartup{Namespace: "default", Concurrency: 2, Count: 3, Patience: ir.Duration(time.Minute)}), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		plan, ds := g.Plan(t.Context())
		if ds != nil {
			t.Fatal(ds)
		}
		k := &kubelets{script: func(*corev1.Pod) []change { return []change{{ms, startApp("app"), false}, {ms, beReady, false}} }}
		g.Run(t.Context(), runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Writer: k, Signal: &runtime.Signal{}, Services: runtime.Services{Pods: k}})
		counts := k.Counts()
		writes, _ := plan.Totals()
		for _, w := range writes {
			if counts[w.WriteKey] != w.Count {
				t.Errorf("%+v planned, %d written", w, counts[w.WriteKey])
			}
		}
		if len(writes) != len(counts) {
			t.Errorf("planned %v, written %v", writes, counts)
		}
		var node string
		for _, w := range k.Writes() {
			switch o := w.Object.(type) {
			case *corev1.Node:
				node = o.Name
			case *corev1.Pod:
				if w.Verb == runtime.VerbCreate && (node == "" || o.Spec.NodeName != node) {
					t.Errorf("pod on %q, the node is %q", o.Spec.NodeName, node)
				}
			}
		}
	})
}

func TestReadPodRefuses(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"is empty":         "---\n# nothing\n",
		"not a Pod":        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
		"several objects":  shopPod + "---" + shopPod,
		"imag":             "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, imag: b}]}\n",
		"no container":     "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n",
		"already":          "apiVersion: v1\napiVersion: v1\nkind: Pod\n",
		"cannot unmarshal": "just text",
		"larger":           strings.Repeat("#", maxPodFile+1),
	} {
		if _, err := readPod(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	pod, err := readPod(strings.NewReader(shopPod))
	if err != nil || !slices.Equal([]string{pod.Spec.Containers[0].Name, pod.Spec.Containers[1].Name}, []string{"logs", "shop"}) {
		t.Errorf("%v, %v", pod, err)
	}
	built := (&startups{podStartup: &podStartup{pod: pod}, env: &runtime.Env{Step: &ir.Step{Path: "phases[1].steps[2]"}}}).build(7)
	if built.Name != "shop-1-2-7" || built.Finalizers != nil || built.Labels["app"] != "shop" || built.Labels[runtime.LabelRole] != runtime.RoleStartup {
		t.Errorf("%+v", built.ObjectMeta)
	}
}
