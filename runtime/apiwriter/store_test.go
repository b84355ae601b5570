package apiwriter

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

// storeWriter is a writer on an etcd in memory, and what it sent to the api-server instead.
func storeWriter(t testing.TB, m *memory, always bool) (*Writer, *scriptedBackend) {
	t.Helper()
	api := &scriptedBackend{}
	cfg := Config{REST: &rest.Config{}, RunID: "r1", Clock: &hastyClock{now: time.Unix(1e9, 5)}, Store: &Store{
		Always:  always,
		Kubelet: func(p *corev1.Pod, _ *corev1.Node, _ time.Time) { p.Status.Phase = corev1.PodRunning },
	}}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	b, l := newBudget(0, cfg.Clock), newLedger()
	w := start(cfg, newStore(cfg, m, api, b, l), b, l)
	t.Cleanup(func() { _ = w.Close() })
	return w, api
}

// perform makes one write and returns how it ended.
func perform(t *testing.T, w *Writer, op runtime.Op) runtime.Result {
	t.Helper()
	ended := make(chan runtime.Result, 1)
	op.Done = func(r runtime.Result) { ended <- r }
	submit(t, w, op)
	return <-ended
}

func create(obj runtime.Object) runtime.Op {
	return runtime.Op{Verb: runtime.VerbCreate, Priority: runtime.PriorityBulk, Object: obj}
}

// podOn is a pod on the run's node.
func podOn(namespace, name string) *corev1.Pod {
	none := int64(0)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: "n", TerminationGracePeriodSeconds: &none},
	}
}

// TestWhatGoesPastTheAPIServer pins the rule: what plscript built for a load, and nothing that the api-server would
// change, refuse, or ask anybody about.
func TestWhatGoesPastTheAPIServer(t *testing.T) {
	t.Parallel()
	rendered := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "x", "namespace": "ns"},
	}}
	bad, asking, labelled := podOn("ns", "x"), podOn("ns", "x"), podOn("ns", "x")
	bad.Name = "Not_A_Name"
	asking.Spec.PriorityClassName = "high"
	labelled.Labels = map[string]string{"a": "not a value"}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "x"}}
	external := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "x"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "x"}}
	elsewhere := podOn("ns", "x")
	elsewhere.Spec.NodeName = "unknown"
	op := func(p runtime.Priority, obj runtime.Object) runtime.Op {
		return runtime.Op{Verb: runtime.VerbCreate, Priority: p, Object: obj}
	}
	setup := op(runtime.PriorityControl, slice.DeepCopy())
	setup.Setup = true
	for name, c := range map[string]struct {
		op     runtime.Op
		always bool
		want   bool
	}{
		"bulk":                            {op: create(podOn("ns", "x")), want: true},
		"of a rate step":                  {op: op(runtime.PriorityRate, podOn("ns", "x"))},
		"of a rate step, store forced":    {op: op(runtime.PriorityRate, podOn("ns", "x")), always: true, want: true},
		"of a controller":                 {op: op(runtime.PriorityControl, slice.DeepCopy())},
		"of a controller, in a load":      {op: setup, want: true},
		"an account":                      {op: create(account), want: true},
		"rendered from a template":        {op: create(rendered), always: true},
		"a kind that is not known":        {op: create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "x"}})},
		"a webhook looks at it":           {op: create(podOn("injected", "x"))},
		"no such namespace":               {op: create(podOn("missing", "x"))},
		"no such node":                    {op: create(elsewhere)},
		"a name that is none":             {op: create(bad)},
		"a label that is none":            {op: create(labelled)},
		"admission would fill something":  {op: create(asking)},
		"a Service of another type":       {op: create(external)},
		"a Service without a selector":    {op: create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "x"}})},
		"a status, which is a controller": {op: runtime.Op{Verb: runtime.VerbStatus, Priority: runtime.PriorityBulk, Object: podOn("ns", "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, api := storeWriter(t, newMemory(t), c.always)
			if res := perform(t, w, c.op); res.Fate != runtime.FateDone {
				t.Fatalf("%s: %v", res.Fate, res.Err)
			}
			stored := w.Stats().Total.Stored == 1
			if stored != c.want || stored == (len(api.log()) == 1) {
				t.Errorf("past the api-server: %v, want %v; sent to it: %q", stored, c.want, api.log())
			}
		})
	}
}

func TestStoredPodRunsOnItsNode(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	w, _ := storeWriter(t, m, false)
	sent := podOn("ns", "a")
	res := perform(t, w, create(sent))
	var got corev1.Pod
	if !m.find(t, registry.Pod, "ns", "a", &got) {
		t.Fatal("it is not there")
	}
	if got.UID == "" || got.UID != res.Object.GetUID() || got.Generation != 1 || got.ResourceVersion != "" || !got.CreationTimestamp.Time.Equal(time.Unix(1e9, 0)) {
		t.Errorf("stored: %+v", got.ObjectMeta)
	}
	if got.Status.Phase != corev1.PodRunning || got.Labels[corev1.LabelTopologyZone] != "z" || got.Labels[runtime.LabelRun] != "r1" {
		t.Errorf("phase %s, labels %v", got.Status.Phase, got.Labels)
	}
	if res.Object.GetResourceVersion() == "" {
		t.Error("the answer has no version: the next write could not be tied to it")
	}
}

// TestStoreNeverOverwrites: a name that is taken, and a namespace that has changed since it was looked at, go to the
// api-server as they were, which knows what to say.
func TestStoreNeverOverwrites(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	w, api := storeWriter(t, m, false)
	theirs := podOn("ns", "taken")
	theirs.UID = "theirs"
	m.put(t, registry.Pod.Key("ns", "taken"), registry.Pod.GVK, theirs)
	var seen runtime.Object
	api.answer = func(_ context.Context, r request) error {
		seen = r.op.Object.DeepCopyObject().(runtime.Object)
		return nil
	}
	perform(t, w, create(podOn("ns", "taken")))
	if seen == nil || seen.GetUID() != "" || len(seen.(*corev1.Pod).Spec.Tolerations) > 0 {
		t.Errorf("the api-server got %+v", seen)
	}
	var got corev1.Pod
	if m.find(t, registry.Pod, "ns", "taken", &got); got.UID != "theirs" {
		t.Errorf("the other's pod was overwritten by %s", got.UID)
	}
	perform(t, w, create(podOn("ns", "before")))
	m.namespace(t, "ns", map[string]string{"inject": "yes"})
	perform(t, w, create(podOn("ns", "after")))
	if m.find(t, registry.Pod, "ns", "after", &got) {
		t.Error("a pod went past the webhook that its namespace was labelled for")
	}
}

func TestStoredServicesHaveAddressesOfTheirOwn(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	w, _ := storeWriter(t, m, false)
	first := registry.Address(mustRange(t, "10.96.0.0/12"), "ns", "web", 0).String()
	m.put(t, registry.IPAddress.Key("", first), registry.IPAddress.GVK, &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: first}})
	perform(t, w, create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}))
	var svc corev1.Service
	if !m.find(t, registry.Service, "ns", "web", &svc) {
		t.Fatal("it is not there")
	}
	if ip := svc.Spec.ClusterIP; ip == "" || ip == first || len(svc.Spec.ClusterIPs) != 1 || svc.Spec.ClusterIPs[0] != ip {
		t.Errorf("addresses %q and %q; %s was taken", ip, svc.Spec.ClusterIPs, first)
	}
	var address networkingv1.IPAddress
	if !m.find(t, registry.IPAddress, "", svc.Spec.ClusterIP, &address) || address.Spec.ParentRef.Name != "web" {
		t.Errorf("the address is held by %+v", address.Spec.ParentRef)
	}
}

// TestStoreDeletesWhatIsMeant: the pod that the run made, and no other of its name, nor one that a finalizer holds.
func TestStoreDeletesWhatIsMeant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*corev1.Pod) *corev1.Pod
		direct bool
	}{
		"as it was made": {func(p *corev1.Pod) *corev1.Pod { return p }, true},
		"gone already":   {func(*corev1.Pod) *corev1.Pod { return nil }, true},
		"replaced":       {func(p *corev1.Pod) *corev1.Pod { p.UID = "another"; return p }, false},
		"held":           {func(p *corev1.Pod) *corev1.Pod { p.Finalizers = []string{"a/b"}; return p }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(t)
			w, api := storeWriter(t, m, false)
			perform(t, w, create(podOn("ns", "a")))
			var live corev1.Pod
			m.find(t, registry.Pod, "ns", "a", &live)
			delete(m.items, registry.Pod.Key("ns", "a"))
			if p := c.change(&live); p != nil {
				m.put(t, registry.Pod.Key("ns", "a"), registry.Pod.GVK, p)
			}
			res := perform(t, w, runtime.Op{Verb: runtime.VerbDelete, Priority: runtime.PriorityBulk, Object: pod("a")})
			if direct := len(api.log()) == 0; res.Fate != runtime.FateDone || direct != c.direct {
				t.Errorf("%s, past the api-server: %v", res.Fate, direct)
			}
			if there := m.find(t, registry.Pod, "ns", "a", &live); there == c.direct {
				t.Errorf("it is there: %v", there)
			}
		})
	}
}

// TestStoreLeavesPodsTheirGracePeriod: a step's delete makes a pod terminate as the api-server would; its kubelet's then
// removes it, and no other delete does.
func TestStoreLeavesPodsTheirGracePeriod(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grace *int64
		phase corev1.PodPhase
		stays int64 // seconds; 0 if it goes at once
	}{
		"as asked":        {new(int64(7)), corev1.PodRunning, 7},
		"the default":     {nil, corev1.PodRunning, 30},
		"less than none":  {new(int64(-1)), corev1.PodRunning, 1},
		"none":            {new(int64(0)), corev1.PodRunning, 0},
		"it is over":      {new(int64(7)), corev1.PodSucceeded, 0},
		"it has not been": {new(int64(7)), corev1.PodPending, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(t)
			w, api := storeWriter(t, m, true)
			p := podOn("ns", "a")
			p.Spec.TerminationGracePeriodSeconds = c.grace
			perform(t, w, create(p))
			var live corev1.Pod
			m.find(t, registry.Pod, "ns", "a", &live)
			live.Status.Phase = c.phase
			m.put(t, registry.Pod.Key("ns", "a"), registry.Pod.GVK, &live)
			gone := runtime.Op{Verb: runtime.VerbDelete, Priority: runtime.PriorityBulk, Object: pod("a")}
			perform(t, w, gone)
			live = corev1.Pod{}
			if there := m.find(t, registry.Pod, "ns", "a", &live); there != (c.stays > 0) {
				t.Fatalf("it is there: %v", there)
			}
			if c.stays == 0 {
				return
			}
			at := metav1.NewTime(time.Unix(1e9+c.stays, 0))
			if live.DeletionTimestamp == nil || !live.DeletionTimestamp.Equal(&at) || *live.DeletionGracePeriodSeconds != c.stays || live.Generation != 2 {
				t.Errorf("%+v", live.ObjectMeta)
			}
			gone.Object.SetUID(live.UID)
			gone.Object.SetLabels(map[string]string{runtime.LabelRun: "r1"})
			perform(t, w, gone)
			if len(api.log()) != 1 {
				t.Errorf("the api-server was asked %q, want to judge the second delete", api.log())
			}
			gone.Priority = runtime.PriorityControl
			perform(t, w, gone)
			if m.find(t, registry.Pod, "ns", "a", &live) || len(api.log()) != 1 {
				t.Errorf("its kubelet cannot end it; the api-server was asked %q", api.log())
			}
		})
	}
}

// TestStoreUpdatesTheVersionThatItKnows: a slice that somebody changed meanwhile is for the api backend to read again.
func TestStoreUpdatesTheVersionThatItKnows(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	w, api := storeWriter(t, m, false)
	made := create(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}})
	made.Priority, made.Setup = runtime.PriorityControl, true
	first := perform(t, w, made).Object.(*discoveryv1.EndpointSlice)
	next := runtime.Op{Verb: runtime.VerbUpdate, Setup: true, Object: first.DeepCopy()}
	second := perform(t, w, next).Object
	if second.GetGeneration() != 2 || second.GetResourceVersion() == first.ResourceVersion || len(api.log()) > 0 {
		t.Errorf("generation %d, version %s, sent to the api-server: %q", second.GetGeneration(), second.GetResourceVersion(), api.log())
	}
	next.Object = first.DeepCopy() // which is out of date now
	perform(t, w, next)
	if len(api.log()) != 1 {
		t.Errorf("sent to the api-server: %q", api.log())
	}
}

// TestStoreThatFailsIsTriedAgain: what etcd did with a write whose answer is lost is found out by the next attempt.
func TestStoreThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.fail = errors.New("unavailable")
	w, api := storeWriter(t, m, false)
	if res := perform(t, w, create(podOn("ns", "a"))); res.Fate != runtime.FateFailed || res.Attempts != maxAttempts || len(api.log()) > 0 {
		t.Errorf("%s after %d attempts: %v; sent to the api-server: %q", res.Fate, res.Attempts, res.Err, api.log())
	}
}

func mustRange(t *testing.T, text string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestStoreRenewsLeases: a lease that the writer made last is renewed in place, whatever else goes to the api-server.
func TestStoreRenewsLeases(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	w, api := storeWriter(t, m, false)
	made := perform(t, w, create(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "n"}}))
	lease := made.Object.DeepCopyObject().(*coordinationv1.Lease)
	holder := "n"
	lease.Spec.HolderIdentity = &holder
	perform(t, w, runtime.Op{Verb: runtime.VerbUpdate, Setup: true, Object: lease})
	var got coordinationv1.Lease
	m.find(t, registry.Lease, "ns", "n", &got)
	if got.UID != made.Object.GetUID() || got.Generation != 0 || got.Spec.HolderIdentity == nil || len(api.log()) > 0 {
		t.Errorf("stored %+v; sent to the api-server: %q", got, api.log())
	}
}
