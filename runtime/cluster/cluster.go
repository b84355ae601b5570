package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
)

// Something that failed for good in the writer, after its own retries, is tried again after retryDelay, which doubles
// with each failure up to maxRetryDelay.
const (
	retryDelay    = time.Second
	maxRetryDelay = 30 * time.Second
)

// Drainer empties a terminating Namespace.
type Drainer interface {
	// Drain deletes everything in the namespace, of all kinds, and returns nil once nothing is left.
	Drain(ctx context.Context, namespace string) error
}

// Config is what a [Cluster] needs. REST, RunID, Writer and Clock are required.
type Config struct {
	REST   *rest.Config
	RunID  string
	Writer runtime.Writer
	Pods   runtime.PodEvents // told of the pods on the run's nodes and those with the run's label; may be nil

	// Drainer empties the run's namespaces when they are deleted, before they are finalized; nil leaves terminating
	// namespaces to a namespace controller.
	Drainer Drainer

	// Controllers says that the cluster has controllers of its own: ServiceAccounts are their work, and so are the
	// EndpointSlices of Services with a selector. Those of Services that have [runtime.AnnotationSelector] instead stay
	// the cluster's.
	Controllers bool
	// Phantoms keeps Nodes, their Leases and Pods from the api-server: those of [Cluster.Writer] exist only here, and in
	// the slices of their Services.
	Phantoms bool
	Kubelet  Kubelet

	Loads Loads // nil: slices are written as their pods are seen, one by one

	Clock  runtime.Clock
	Notify runtime.Notifier // told when a measure may have changed; may be nil
	Log    *slog.Logger     // nil means silence
}

// Cluster is the missing half of a cluster. It implements [runtime.Meter].
type Cluster struct {
	cfg    Config
	client kubernetes.Interface

	turn  sync.Mutex // held while a change is made and carried out
	mu    sync.Mutex
	state state

	podsClient kindClient[*corev1.PodList] // for watching them
	phantoms   *phantoms                   // nil unless Config.Phantoms
	dirty      *wakeList[*service]
	chores     *wakeList[chore]
	times      *timetable
	writes     *underway
}

// New returns a cluster that does nothing before [Cluster.Run].
func New(cfg Config) (*Cluster, error) {
	if cfg.REST == nil {
		return nil, errors.New("cluster: REST is required")
	}
	rc := rest.CopyConfig(cfg.REST)
	rc.QPS, rc.Burst, rc.RateLimiter = -1, 0, nil
	rc.WarningHandler = rest.NoWarnings{}
	rc.ContentType = k8sruntime.ContentTypeProtobuf
	rc.AcceptContentTypes = k8sruntime.ContentTypeProtobuf + "," + k8sruntime.ContentTypeJSON
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	pods, err := podWatcher(rc)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return newCluster(cfg, client, pods)
}

func newCluster(cfg Config, client kubernetes.Interface, pods kindClient[*corev1.PodList]) (*Cluster, error) {
	if cfg.RunID == "" || cfg.Writer == nil || cfg.Clock == nil {
		return nil, errors.New("cluster: RunID, Writer and Clock are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{
		cfg: cfg, client: client, podsClient: pods, state: newState(),
		dirty:  newWakeList[*service](),
		chores: newWakeList[chore](),
		times:  newTimetable(),
		writes: newUnderway(),
	}
	if cfg.Phantoms {
		c.phantoms = newPhantoms(c, cfg.Writer)
		c.cfg.Writer, c.state.phantoms = c.phantoms, true
	}
	return c, nil
}

// Writer is what the run has to write through: the one of the configuration, but for phantoms.
func (c *Cluster) Writer() runtime.Writer { return c.cfg.Writer }

// Run watches the api-server and does the cluster's work until ctx is done; it then returns nil, when the writes that are
// under way have ended or lingerFor is over, and none of its goroutines is left. It must be called once.
func (c *Cluster) Run(ctx context.Context) error {
	defer c.writes.begin(ctx)()
	defer c.writes.linger(c.cfg.Clock)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	synced := c.watch(ctx, &wg)
	if c.cfg.Loads != nil {
		c.cfg.Loads.OnLoaded(func(namespace string, pods int) { c.loaded(ctx, namespace, pods) })
	}
	for range choreWorkers {
		wg.Go(func() { c.doChores(ctx) })
	}
	wg.Go(func() { c.keepTimes(ctx) })
	if c.phantoms != nil {
		wg.Go(func() { c.phantoms.run(ctx) })
	}
	// Slices are planned only when all that exist are known, or they would be made twice.
	for _, first := range synced {
		select {
		case <-first:
		case <-ctx.Done():
			return nil
		}
	}
	c.doSlices(ctx)
	return nil
}

// Read implements [runtime.Meter].
func (c *Cluster) Read(r runtime.Readings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r["pods.ready"] = int64(c.state.podsReady)
	r["pods.terminating"] = int64(c.state.podsTerminating)
	r["endpoints.desired"] = int64(c.state.endpointsDesired)
	r["endpoints.ready"] = int64(c.state.endpointsReady)
}

// effects are what a change of the state leads to outside of it.
type effects struct {
	ops   []runtime.Op
	calls []func()
}

func (e *effects) submit(op runtime.Op) { e.ops = append(e.ops, op) }

func (e *effects) call(f func()) { e.calls = append(e.calls, f) }

// change runs f on the state and then carries out what it asks for, all in the order of the changes: nobody hears that
// a pod runs after hearing that it is gone. Control writes never block. Done of an op hears of errors of Submit.
func (c *Cluster) change(f func(e *effects)) {
	var e effects
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	f(&e)
	c.mu.Unlock()
	for _, call := range e.calls {
		call()
	}
	for _, op := range e.ops {
		op.Priority = runtime.PriorityControl
		c.writes.follow(&op)
		_ = c.cfg.Writer.Submit(c.writes.ctx, op)
	}
	if c.cfg.Notify != nil {
		c.cfg.Notify.Notify()
	}
}

// failed logs a write that found no way, and reports whether there is still a point in trying again.
func (c *Cluster) failed(ctx context.Context, what string, obj runtime.Object, res runtime.Result) bool {
	if res.Fate != runtime.FateFailed || ctx.Err() != nil {
		return false
	}
	c.cfg.Log.Warn(what+" failed", "namespace", obj.GetNamespace(), "name", obj.GetName(), "err", res.Err)
	return true
}

// later does f after the nth failure, unless the run has ended by then.
func (c *Cluster) later(nth int, f chore) {
	c.times.add(c.cfg.Clock.Now().Add(retryAfter(nth)), f)
}

// retryAfter is how long to wait after the nth failure.
func retryAfter(nth int) time.Duration {
	return min(maxRetryDelay, retryDelay<<min(max(nth-1, 0), 8))
}

// isOwn reports whether the object carries the run's label.
func (c *Cluster) isOwn(labels map[string]string) bool {
	return labels[runtime.LabelRun] == c.cfg.RunID
}

// ready reports whether the pod's Ready condition is true.
func ready(p *corev1.Pod) bool {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodReady {
			return p.Status.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}
