package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed pod_startup.cue
var podStartupCUE string

type podStartup struct {
	Namespace   string      `json:"namespace"`
	Concurrency int         `json:"concurrency"`
	Count       int         `json:"count"`
	Duration    ir.Duration `json:"duration"`
	Cooldown    ir.Duration `json:"cooldown"`
	Inject      *bool       `json:"inject"`
	Spec        string      `json:"spec"`
	Patience    ir.Duration `json:"patience"`

	pod *corev1.Pod // of Spec, nil for the built-in one
}

// Check reads the pod, once for plan and run.
func (a *podStartup) Check(_ context.Context, c *runtime.Checker) {
	if a.Spec == "" {
		return
	}
	in, err := c.Open(a.Spec)
	if err != nil {
		c.Errorf("spec", "cannot be opened: %v", err)
		return
	}
	defer in.Close()
	if a.pod, err = readPod(in); err != nil {
		c.Errorf("spec", "%s: %v", a.Spec, err)
	}
}

// Plan counts the pods, or those that there are at least.
func (a *podStartup) Plan(_ context.Context, p *runtime.Planner) error {
	n, says := a.Count, fmt.Sprintf("%d pods in %s, %d at a time", a.Count, a.Namespace, a.Concurrency)
	if n == 0 {
		n, says = a.Concurrency, fmt.Sprintf("pods in %s, %d at a time, one after another", a.Namespace, a.Concurrency)
	}
	p.Says(says)
	if a.Count == 0 {
		p.Takes(a.Duration.Std())
	}
	node, err := a.node(p.Mesh, p.Step)
	if err != nil {
		return err
	}
	return p.Do(func(yield func(runtime.Intent, error) bool) {
		for _, in := range nodeOf(node, time.Time{}) {
			if !yield(in, nil) {
				return
			}
		}
		for i := range n {
			for _, verb := range []runtime.Verb{runtime.VerbCreate, runtime.VerbDelete} {
				if !yield(runtime.Intent{Verb: verb, Kind: "Pod", Namespace: a.Namespace, Name: a.name(p.Step, i), Unplaced: true}, nil) {
					return
				}
			}
		}
	})
}

// node plans the one that runs the pods, nil where the cluster has its own.
func (a *podStartup) node(m *runtime.Mesh, s *ir.Step) (*runtime.Node, error) {
	if m.Cluster == ir.ClusterReal {
		return nil, nil
	}
	return m.AddNode(runtime.Node{Name: objectName(stepFile(s)), Zone: "zone-a", Region: "region-a"})
}

func nodeOf(n *runtime.Node, now time.Time) []runtime.Intent {
	if n == nil {
		return nil
	}
	return nodeIntents(n, plainNode, now)
}

// startups are the pods of one step that are on their way.
type startups struct {
	*podStartup
	env   *runtime.Env
	node  *runtime.Node // nil if the cluster places the pods
	until time.Time     // when the last pod is started; zero for no end

	mu        sync.Mutex
	next      int // number of the next pod
	tracked   map[string]*podTimeline
	estimated int // pods with times that the kubelet's stamps told apart
	measured  int
}

func (a *podStartup) Run(ctx context.Context, env *runtime.Env) error {
	if env.Pods == nil {
		return &runtime.NoServiceError{Need: "start pods", Hint: "name a cluster with --sandbox, --kubeconfig or --context"}
	}
	s := &startups{podStartup: a, env: env, tracked: map[string]*podTimeline{}}
	var err error
	if s.node, err = a.node(env.Mesh, env.Step); err != nil {
		return err
	}
	for _, in := range nodeOf(s.node, env.Clock.Now()) {
		if err := env.Execute(ctx, one(in)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching, followed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(followed)
		if err := s.follow(ctx, watching); err != nil {
			cancel(fmt.Errorf("watch the pods: %w", err))
		}
	}()
	select {
	case <-watching:
		s.work(ctx, cancel)
	case <-ctx.Done():
	}
	s.say()
	err = context.Cause(ctx)
	cancel(nil)
	<-followed
	return err
}

// work starts pods until all have been, and waits for the last one.
func (s *startups) work(ctx context.Context, cancel context.CancelCauseFunc) {
	if s.Duration > 0 {
		s.until = s.env.Clock.Now().Add(s.Duration.Std())
	}
	var workers sync.WaitGroup
	for range s.Concurrency {
		workers.Go(func() {
			for {
				i, ok := s.take()
				if !ok || ctx.Err() != nil {
					return
				}
				err := s.start(ctx, i)
				if err == nil {
					err = s.env.Clock.Sleep(ctx, s.Cooldown.Std())
				}
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// take returns the number of the next pod; false when there is none.
func (s *startups) take() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Count > 0 && s.next >= s.Count || !s.until.IsZero() && !s.env.Clock.Now().Before(s.until) {
		return 0, false
	}
	s.next++
	return s.next - 1, true
}

// follow tells the timelines what becomes of their pods, until ctx is done.
func (s *startups) follow(ctx context.Context, watching chan<- struct{}) error {
	selector := runtime.LabelRun + "=" + s.env.RunID + "," + runtime.LabelRole + "=" + runtime.RoleStartup
	return s.env.Pods.Follow(ctx, s.Namespace, selector, func(live runtime.LivePod) {
		if live.Synced {
			close(watching)
			return
		}
		now := s.env.Clock.Now()
		s.mu.Lock()
		t := s.tracked[live.Pod.GetName()]
		s.mu.Unlock()
		if pod, ok := live.Pod.(*corev1.Pod); ok && t != nil {
			t.observe(pod, live.Gone, now)
		}
	})
}

// start makes one pod, measures it and takes it away again. The error is one that ends the step: a pod that does not get
// ready is counted.
func (s *startups) start(ctx context.Context, i int) error {
	pod := s.build(i)
	t := newTimeline(s.env.Clock.Now())
	s.mu.Lock()
	s.tracked[pod.Name] = t
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.tracked, pod.Name)
	}()
	if err := s.write(ctx, runtime.VerbCreate, pod, t.created); err != nil {
		return err
	}
	late, stop := s.env.Clock.After(s.Patience.Std())
	defer stop()
	select {
	case <-t.ended:
		s.record(pod.Name, t)
	case <-late:
		t.fail(fmt.Errorf("not ready after %v%s", s.Patience, t.stuck()))
		s.record(pod.Name, t)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	gone := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels},
	}
	return s.write(ctx, runtime.VerbDelete, gone, s.env.Clock.Now())
}

// write is one write, past the queue of bulk loads: it is measured.
func (s *startups) write(ctx context.Context, verb runtime.Verb, pod *corev1.Pod, due time.Time) error {
	done := make(chan error, 1)
	// The result tells of a refusal, too.
	_ = s.env.Writer.Submit(ctx, runtime.Op{
		Verb: verb, Object: pod, Priority: runtime.PriorityRate, Scheduled: due,
		Done: func(r runtime.Result) { done <- r.Err },
	})
	if err := <-done; err != nil {
		return fmt.Errorf("%s Pod %s/%s: %w", verb, pod.Namespace, pod.Name, err)
	}
	return nil
}

// record counts what was measured of a pod, and says it.
func (s *startups) record(name string, t *podTimeline) {
	times, err := t.times()
	for stage, took := range times.stages() {
		if err == nil || stage == runtime.StageStartup {
			s.env.Stages.Record(stage, took, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measured++
	if times.estimated {
		s.estimated++
	}
	if s.env.Results == nil {
		return
	}
	if err != nil {
		s.env.Results.Result(name + "  " + err.Error())
		return
	}
	s.env.Results.Result(name + "  " + times.String())
}

// say tells how many times are not plscript's own.
func (s *startups) say() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.estimated > 0 && s.env.Results != nil {
		s.env.Results.Result(fmt.Sprintf("~ %d of %d pods changed too fast to see each change: the kubelet's stamps, of whole seconds, told some apart", s.estimated, s.measured))
	}
}

var errPodGone = errors.New("was deleted before it was ready")
