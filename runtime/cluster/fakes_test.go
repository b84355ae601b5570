package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// world is a Cluster on a fake api-server, with a writer that carries everything out in order.
type world struct {
	t      *testing.T
	client *fake.Clientset
	c      *Cluster

	mu      sync.Mutex
	version int
	events  []string // of pods
	log     []string // writes that were carried out: "verb Kind ns/name"
	held    bool
	queue   []runtime.Op
	more    chan struct{}
	fail    func(op runtime.Op) error
	drained []string
	drain   func(ns string) error
	written []runtime.Op // what a run submitted through the cluster's writer, as it arrived here
}

// inWorld runs f in a synctest bubble with a running cluster; nothing may be left running after it.
func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	inWorldOf(t, func(*Config) {}, f)
}

// inWorldOf is inWorld with another configuration.
func inWorldOf(t *testing.T, set func(*Config), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, client: fake.NewClientset(), more: make(chan struct{}, 1)}
		cfg := Config{RunID: "r1", Writer: w, Pods: w, Drainer: w, Clock: runtimetest.Clock{}}
		set(&cfg)
		c, err := newCluster(cfg, w.client, w.client.CoreV1().Pods(metav1.NamespaceAll))
		if err != nil {
			t.Fatal(err)
		}
		w.c = c
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.carryOut(ctx) })
		wg.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		f(w)
		cancel()
		wg.Wait()
	})
}

// settle waits until everything that follows from the last change has happened, but for what waits for time.
func (w *world) settle() { synctest.Wait() }

func (w *world) PodRunning(key, ip string) { w.event("running " + key + " " + ip) }
func (w *world) PodGone(key string)        { w.event("gone " + key) }

func (w *world) event(e string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) Drain(_ context.Context, ns string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drained = append(w.drained, ns)
	if w.drain != nil {
		return w.drain(ns)
	}
	return nil
}

func (w *world) Submit(ctx context.Context, op runtime.Op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if op.Priority != runtime.PriorityControl && !w.c.cfg.Phantoms {
		w.t.Errorf("%s of %s is no control write", op.Verb, op.Object.GetName())
	}
	w.mu.Lock()
	w.written = append(w.written, op)
	w.queue = append(w.queue, op)
	w.mu.Unlock()
	signal(w.more)
	return nil
}

func (w *world) hold(held bool) {
	w.mu.Lock()
	w.held = held
	w.mu.Unlock()
	signal(w.more)
}

func (w *world) carryOut(ctx context.Context) {
	for {
		w.mu.Lock()
		var op runtime.Op
		ok := len(w.queue) > 0 && !w.held
		if ok {
			op, w.queue = w.queue[0], w.queue[1:]
		}
		w.mu.Unlock()
		if ok {
			w.carryOutOne(op)
			continue
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return
		}
	}
}

func (w *world) carryOutOne(op runtime.Op) {
	w.mu.Lock()
	fail := w.fail
	w.log = append(w.log, fmt.Sprintf("%s %s %s", op.Verb, strings.TrimPrefix(fmt.Sprintf("%T", op.Object), "*v1."), op.Object.GetName()))
	w.mu.Unlock()
	var err error
	if fail != nil {
		err = fail(op)
	}
	if err == nil {
		err = w.apply(op)
	}
	res := runtime.Result{Object: op.Object, Fate: runtime.FateDone, Attempts: 1}
	switch {
	case apierrors.IsAlreadyExists(err): // the run's own, made before
		live, _ := w.client.Tracker().Get(resourceOf(op.Object), op.Object.GetNamespace(), op.Object.GetName())
		res.Object = live.(runtime.Object)
	case apierrors.IsNotFound(err) && op.Verb != runtime.VerbDelete:
		res = runtime.Result{Fate: runtime.FateSuperseded, Err: err}
	case err != nil && !apierrors.IsNotFound(err):
		res = runtime.Result{Fate: runtime.FateFailed, Err: err}
	}
	if op.Done != nil {
		op.Done(res)
	}
}

// apply does to the fake api-server what the writer would.
func (w *world) apply(op runtime.Op) error {
	gvr := resourceOf(op.Object)
	ns, tracker := op.Object.GetNamespace(), w.client.Tracker()
	switch op.Verb {
	case runtime.VerbCreate:
		labels := map[string]string{runtime.LabelRun: "r1"}
		for k, v := range op.Object.GetLabels() {
			labels[k] = v
		}
		op.Object.SetLabels(labels)
		w.stamp(op.Object)
		return tracker.Create(gvr, op.Object.DeepCopyObject(), ns)
	case runtime.VerbStatus:
		live, err := tracker.Get(gvr, ns, op.Object.GetName())
		if err != nil {
			return err
		}
		p := live.(*corev1.Pod).DeepCopy()
		if p.UID != op.Object.GetUID() {
			return apierrors.NewNotFound(gvr.GroupResource(), p.Name)
		}
		p.Status = op.Object.(*corev1.Pod).Status
		w.stamp(p)
		return tracker.Update(gvr, p, ns)
	case runtime.VerbUpdate:
		w.stamp(op.Object)
		return tracker.Update(gvr, op.Object.DeepCopyObject(), ns)
	default: // delete, finalize
		live, err := tracker.Get(gvr, ns, op.Object.GetName())
		if err != nil || live.(metav1.Object).GetUID() != op.Object.GetUID() {
			return err
		}
		return tracker.Delete(gvr, ns, op.Object.GetName())
	}
}

// stamp gives an object its next resourceVersion, and its uid.
func (w *world) stamp(o metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	o.SetResourceVersion(fmt.Sprint(w.version))
	if o.GetUID() == "" {
		o.SetUID(types.UID(fmt.Sprint("uid-", w.version)))
	}
}

func resourceOf(o runtime.Object) schema.GroupVersionResource {
	switch o.(type) {
	case *corev1.Pod:
		return corev1.SchemeGroupVersion.WithResource("pods")
	case *corev1.Service:
		return corev1.SchemeGroupVersion.WithResource("services")
	case *corev1.Node:
		return corev1.SchemeGroupVersion.WithResource("nodes")
	case *corev1.Namespace:
		return corev1.SchemeGroupVersion.WithResource("namespaces")
	case *corev1.ServiceAccount:
		return corev1.SchemeGroupVersion.WithResource("serviceaccounts")
	case *discoveryv1.EndpointSlice:
		return discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
	case *coordinationv1.Lease:
		return coordinationv1.SchemeGroupVersion.WithResource("leases")
	}
	return schema.GroupVersionResource{}
}

// The rest is what somebody with kubectl does. Each waits until the cluster has followed.

func (w *world) create(objs ...runtime.Object) {
	w.t.Helper()
	for _, o := range objs {
		w.stamp(o)
		if err := w.client.Tracker().Create(resourceOf(o), o.DeepCopyObject(), o.GetNamespace()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.settle()
}

func (w *world) update(o runtime.Object) {
	w.t.Helper()
	w.stamp(o)
	if err := w.client.Tracker().Update(resourceOf(o), o.DeepCopyObject(), o.GetNamespace()); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

func (w *world) delete(o runtime.Object) {
	w.t.Helper()
	if err := w.client.Tracker().Delete(resourceOf(o), o.GetNamespace(), o.GetName()); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

func get[T runtime.Object](w *world, of T, ns, name string) (T, bool) {
	obj, err := w.client.Tracker().Get(resourceOf(of), ns, name)
	if err != nil {
		return of, false
	}
	return obj.DeepCopyObject().(T), true
}

func (w *world) pod(name string) *corev1.Pod {
	w.t.Helper()
	p, ok := get(w, &corev1.Pod{}, "ns", name)
	if !ok {
		w.t.Fatalf("no pod %s", name)
	}
	return p
}

// slices are the EndpointSlices of namespace ns, as "address condition" of each endpoint.
func (w *world) slices() map[string][]string {
	w.t.Helper()
	list, err := w.client.DiscoveryV1().EndpointSlices("ns").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string][]string{}
	for _, s := range list.Items {
		out[s.Name] = []string{}
		for _, e := range s.Endpoints {
			cond := "unready"
			if *e.Conditions.Ready {
				cond = "ready"
			}
			if *e.Conditions.Terminating {
				cond = "terminating"
			}
			out[s.Name] = append(out[s.Name], e.Addresses[0]+" "+cond)
		}
	}
	return out
}

func (w *world) expectCounts(ready, desired, endpoints int64) {
	w.t.Helper()
	r := runtime.Readings{}
	w.c.Read(r)
	if r["pods.ready"] != ready || r["endpoints.desired"] != desired || r["endpoints.ready"] != endpoints {
		w.t.Errorf("%v; want %d pods ready, %d endpoints desired, %d ready", r, ready, desired, endpoints)
	}
}

func (w *world) writes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.log
	w.log = nil
	return out
}

func testNode(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			runtime.LabelRun: "r1", runtime.LabelClass: "", corev1.LabelTopologyZone: "z1",
		}},
		Spec:   corev1.NodeSpec{PodCIDR: "10.1.0.0/23"},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "172.16.0.1"}}},
	}
}

func testNamespace() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{runtime.LabelRun: "r1"}}}
}

func testPod(name, ip string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{runtime.LabelRun: "r1", "app": "a"}},
		Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Image: "img"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
	if ip != "" {
		p.Annotations = map[string]string{runtime.AnnotationIP: ip}
	}
	return p
}

func testSvc() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc", Labels: map[string]string{runtime.LabelRun: "r1"}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "a"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
}
