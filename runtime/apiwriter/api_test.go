package apiwriter

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/runtime"
)

const (
	podPath    = "/api/v1/namespaces/ns/pods/p"
	widgetPath = "/apis/example.com/v1/namespaces/ns/widgets/w"
)

// newAPIWriter is a writer on the fake server whose clock does not wait.
func newAPIWriter(t *testing.T, s *fakeServer) *Writer {
	t.Helper()
	w, err := New(Config{REST: s.config(), RunID: "r1", Clock: &hastyClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// do submits a bulk write and waits for its end.
func do(t *testing.T, w *Writer, verb runtime.Verb, obj runtime.Object) runtime.Result {
	t.Helper()
	return doAs(t, w, verb, obj, runtime.PriorityBulk)
}

func doAs(t *testing.T, w *Writer, verb runtime.Verb, obj runtime.Object, p runtime.Priority) runtime.Result {
	t.Helper()
	done := make(chan runtime.Result, 1)
	_ = w.Submit(t.Context(), runtime.Op{Verb: verb, Object: obj, Priority: p, Done: func(r runtime.Result) { done <- r }})
	select {
	case r := <-done:
		return r
	case <-time.After(20 * time.Second):
		t.Fatalf("%s of %s did not end", verb, obj.GetName())
		return runtime.Result{}
	}
}

func mustDo(t *testing.T, w *Writer, verb runtime.Verb, obj runtime.Object) runtime.Result {
	t.Helper()
	r := do(t, w, verb, obj)
	if r.Fate != runtime.FateDone {
		t.Fatalf("%s: %s: %v", verb, r.Fate, r.Err)
	}
	return r
}

func object(apiVersion, kind, name, run string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	u.SetNamespace("ns")
	u.SetName(name)
	if run != "" {
		u.SetLabels(map[string]string{runtime.LabelRun: run})
	}
	return u
}

func widget(color string) *unstructured.Unstructured {
	u := object("example.com/v1", "Widget", "w", "")
	u.Object["spec"] = map[string]any{"color": color}
	return u
}

func TestVerbsOnTheWire(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	shared := map[string]string{"app": "a"}
	p := pod("p")
	p.Labels = shared
	created := mustDo(t, w, runtime.VerbCreate, p)
	if created.Object.GetUID() == "" || created.Object.GetLabels()[runtime.LabelRun] != "r1" || len(shared) != 1 {
		t.Errorf("created %+v, shared labels %v", created.Object, shared)
	}
	again := pod("p")
	again.Labels = map[string]string{"v": "2"}
	mustDo(t, w, runtime.VerbUpdate, again)
	full := created.Object.(*corev1.Pod).DeepCopy()
	full.ResourceVersion = "2" // as a watch would have shown it
	full.Status.Phase = corev1.PodRunning
	mustDo(t, w, runtime.VerbStatus, full)
	mustDo(t, w, runtime.VerbDelete, pod("p"))
	mustDo(t, w, runtime.VerbCreate, widget("red"))
	mustDo(t, w, runtime.VerbUpdate, widget("blue"))
	if got, _, _ := unstructured.NestedString(s.get(widgetPath).Object, "spec", "color"); got != "blue" {
		t.Errorf("color %q", got)
	}
	mustDo(t, w, runtime.VerbDelete, widget(""))
	want := []string{
		"POST /api/v1/namespaces/ns/pods vnd.kubernetes.protobuf",
		"PUT " + podPath + " vnd.kubernetes.protobuf",
		"PUT " + podPath + "/status vnd.kubernetes.protobuf",
		"DELETE " + podPath + " vnd.kubernetes.protobuf",
		"POST /apis/example.com/v1/namespaces/ns/widgets json",
		"PUT " + widgetPath + " json",
		"DELETE " + widgetPath + " json",
	}
	if d := cmp.Diff(want, s.requests()); d != "" {
		t.Error("one request a write (-want +got):\n", d)
	}
}

func TestBuiltInKindsFromTemplatesAreTyped(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	cm := object("v1", "ConfigMap", "c", "")
	cm.Object["data"] = map[string]any{"k": "v"}
	r := mustDo(t, w, runtime.VerbCreate, cm)
	if got, ok := r.Object.(*corev1.ConfigMap); !ok || got.Data["k"] != "v" {
		t.Errorf("answer %#v", r.Object)
	}
	cm = object("v1", "ConfigMap", "d", "")
	cm.Object["dta"] = map[string]any{"k": "v"}
	if r := do(t, w, runtime.VerbCreate, cm); r.Fate != runtime.FateFailed || !strings.Contains(r.Err.Error(), "dta") {
		t.Errorf("a misspelled field: %v %v", r.Fate, r.Err)
	}
}

func TestForeignObjectsAreLeftAlone(t *testing.T) {
	for owner, run := range map[string]string{"nobody": "", "another run": "r0"} {
		for _, verb := range []runtime.Verb{runtime.VerbCreate, runtime.VerbUpdate, runtime.VerbStatus, runtime.VerbDelete} {
			t.Run(owner+"/"+string(verb), func(t *testing.T) {
				s := newFakeServer(t)
				w := newAPIWriter(t, s)
				s.put(podPath, object("v1", "Pod", "p", run))
				before := s.get(podPath).GetResourceVersion()
				r := do(t, w, verb, pod("p"))
				var c *runtime.CollisionError
				if r.Fate != runtime.FateFailed || !errors.As(r.Err, &c) || c.Owner != run || c.Name != "p" || c.Kind != "Pod" {
					t.Errorf("%s: %v", r.Fate, r.Err)
				}
				if got := s.get(podPath); got == nil || got.GetResourceVersion() != before {
					t.Errorf("it was touched: %v", got)
				}
			})
		}
	}
}

func TestLostAnswerOfACreate(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	lose := true
	s.after = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && lose {
			lose = false
			panic(http.ErrAbortHandler) // the object is stored, the connection breaks
		}
		return false
	}
	r := mustDo(t, w, runtime.VerbCreate, pod("p"))
	if r.Attempts != 2 || r.Object.GetUID() != s.get(podPath).GetUID() {
		t.Errorf("attempts %d, object %v", r.Attempts, r.Object)
	}
	readings := runtime.Readings{}
	w.Read(readings)
	if readings["pods.created"] != int64(1) || readings["writer.retries"] != int64(1) {
		t.Errorf("%v", readings)
	}
}

func TestCreateWaitsForItsTerminatingPredecessor(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	old := object("v1", "Pod", "p", "r1")
	old.SetFinalizers([]string{"example.com/slow"})
	now := metav1.Now()
	old.SetDeletionTimestamp(&now)
	s.put(podPath, old)
	posts := 0
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			if posts++; posts == 3 {
				s.mu.Lock()
				delete(s.objects, podPath)
				s.mu.Unlock()
			}
		}
		return false
	}
	if r := mustDo(t, w, runtime.VerbCreate, pod("p")); r.Object.GetUID() == old.GetUID() {
		t.Error("the old object was taken for the new one")
	}
}

func TestConflictReadsAndWritesAgain(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	mustDo(t, w, runtime.VerbCreate, pod("p"))
	relabelled := object("v1", "Pod", "p", "r1")
	relabelled.SetUID(s.get(podPath).GetUID())
	relabelled.SetLabels(map[string]string{runtime.LabelRun: "r1", "by": "kubectl"})
	s.put(podPath, relabelled)
	p := pod("p")
	p.ResourceVersion = "1"
	p.Status.Phase = corev1.PodRunning
	r := mustDo(t, w, runtime.VerbStatus, p)
	if got := r.Object.GetLabels()["by"]; got != "kubectl" || r.Object.(*corev1.Pod).Status.Phase != corev1.PodRunning {
		t.Errorf("the status took the labels back: %+v", r.Object)
	}
	p = pod("p")
	p.ResourceVersion = "1"
	p.Labels = map[string]string{"by": "run"}
	if r := mustDo(t, w, runtime.VerbUpdate, p); r.Object.GetLabels()["by"] != "run" || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

func TestKubeletWritesAreTiedToTheUID(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	s.put(podPath, object("v1", "Pod", "p", "")) // a stranger's, on our node
	seen := pod("p")
	seen.UID, seen.ResourceVersion = s.get(podPath).GetUID(), s.get(podPath).GetResourceVersion()
	if r := doAs(t, w, runtime.VerbStatus, seen.DeepCopy(), runtime.PriorityControl); r.Fate != runtime.FateDone || r.Object.GetLabels()[runtime.LabelRun] != "" {
		t.Errorf("status: %v %v", r.Fate, r.Err)
	}
	seen.UID = "an-earlier-one"
	if r := doAs(t, w, runtime.VerbStatus, seen.DeepCopy(), runtime.PriorityControl); r.Fate != runtime.FateSuperseded {
		t.Errorf("status of a pod that was replaced: %v %v", r.Fate, r.Err)
	}
	if r := doAs(t, w, runtime.VerbDelete, seen.DeepCopy(), runtime.PriorityControl); r.Fate != runtime.FateDone || s.get(podPath) == nil {
		t.Errorf("delete of a pod that was replaced: %v %v, now %v", r.Fate, r.Err, s.get(podPath))
	}
	seen.UID = s.get(podPath).GetUID()
	if r := doAs(t, w, runtime.VerbDelete, seen, runtime.PriorityControl); r.Fate != runtime.FateDone || s.get(podPath) != nil {
		t.Errorf("delete: %v %v", r.Fate, r.Err)
	}
}

func TestRetryAfterHeaderCounts(t *testing.T) {
	s := newFakeServer(t)
	clock := &hastyClock{}
	w, err := New(Config{REST: s.config(), RunID: "r1", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	busy := 2
	s.before = func(rw http.ResponseWriter, _ *http.Request) bool {
		if busy--; busy >= 0 {
			rw.Header().Set("Retry-After", "4")
			answerStatus(rw, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, nil)
			return true
		}
		return false
	}
	mustDo(t, w, runtime.VerbCreate, pod("p"))
	if got := clock.Now().Sub(time.Time{}); got != 8*time.Second {
		t.Errorf("waited %v, want 8s", got)
	}
	if st := w.Stats().Total; st.Throttled != 2 {
		t.Errorf("%+v", st)
	}
}

func TestServerErrorsAreRetried(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	n := 0
	s.before = func(rw http.ResponseWriter, _ *http.Request) bool {
		switch n++; n {
		case 1:
			answerStatus(rw, http.StatusInternalServerError, metav1.StatusReasonInternalError, nil)
		case 2:
			rw.WriteHeader(http.StatusServiceUnavailable) // a proxy in between, without a Status
		case 3:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	if r := mustDo(t, w, runtime.VerbCreate, pod("p")); r.Attempts != 4 {
		t.Errorf("%d attempts, want 4", r.Attempts)
	}
}

func TestHangingRequestEndsWithItsContext(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	arrived := make(chan struct{})
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the client leave
		close(arrived)
		<-r.Context().Done()
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan runtime.Result, 1)
	if err := w.Submit(ctx, runtime.Op{Verb: runtime.VerbCreate, Object: pod("p"), Done: func(r runtime.Result) { done <- r }}); err != nil {
		t.Fatal(err)
	}
	<-arrived
	cancel()
	if r := <-done; r.Fate != runtime.FateFailed || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("%v %v", r.Fate, r.Err)
	}
}

func TestUnknownKinds(t *testing.T) {
	s := newFakeServer(t)
	clock := &hastyClock{}
	w, err := New(Config{REST: s.config(), RunID: "r1", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gadget := object("example.com/v1", "Gadget", "g", "")
	if r := do(t, w, runtime.VerbCreate, gadget.DeepCopy()); !meta.IsNoMatchError(r.Err) || r.Attempts != 1 {
		t.Errorf("%v after %d attempts", r.Err, r.Attempts)
	}
	s.mu.Lock()
	s.kinds[1].APIResources = append(s.kinds[1].APIResources, metav1.APIResource{Name: "gadgets", Kind: "Gadget", Namespaced: true})
	s.mu.Unlock()
	clock.pass(remapAfter)
	mustDo(t, w, runtime.VerbCreate, gadget)
	if r := do(t, w, runtime.VerbCreate, &corev1.Pod{}); r.Fate != runtime.FateFailed {
		t.Error("a pod without a name was created")
	}
}

func TestCreatedCounts(t *testing.T) {
	s := newFakeServer(t)
	w := newAPIWriter(t, s)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}
	agent := pod("ztunnel")
	agent.Labels = map[string]string{runtime.LabelRole: runtime.RoleNodeAgent}
	for _, obj := range []runtime.Object{ns, pod("a"), pod("b"), pod("c"), agent, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}} {
		mustDo(t, w, runtime.VerbCreate, obj)
	}
	mustDo(t, w, runtime.VerbDelete, pod("a"))
	mustDo(t, w, runtime.VerbDelete, pod("a")) // once more: it is gone, and that is fine
	expect := func(namespaces, nodes, pods int64) {
		t.Helper()
		r := runtime.Readings{}
		w.Read(r)
		if r["namespaces.created"] != namespaces || r["nodes.created"] != nodes || r["pods.created"] != pods || r["services.created"] != int64(0) {
			t.Errorf("%v", r)
		}
	}
	expect(1, 1, 2)
	s.mu.Lock()
	delete(s.objects, "/api/v1/namespaces/ns/pods/b") // behind the writer's back
	s.mu.Unlock()
	mustDo(t, w, runtime.VerbDelete, pod("b"))
	expect(1, 1, 1)
	mustDo(t, w, runtime.VerbDelete, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}})
	expect(0, 1, 0)
	live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", UID: s.get("/api/v1/namespaces/ns").GetUID()}}
	if r := doAs(t, w, runtime.VerbFinalize, live, runtime.PriorityControl); r.Fate != runtime.FateDone || s.get("/api/v1/namespaces/ns") != nil {
		t.Errorf("finalize: %v %v", r.Fate, r.Err)
	}
	if r := do(t, w, runtime.VerbUpdate, pod("nobody")); !apierrors.IsNotFound(r.Err) {
		t.Errorf("update of nothing: %v", r.Err)
	}
}
