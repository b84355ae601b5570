package apiwriter

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/runtime"
)

func clusterObject(apiVersion, kind, name, run string) *unstructured.Unstructured {
	u := object(apiVersion, kind, name, run)
	u.SetNamespace("")
	return u
}

// populate puts objects of run r1, of another run and of nobody on the server.
func populate(s *fakeServer) {
	ns := clusterObject("v1", "Namespace", "ours", "r1")
	ns.Object["spec"] = map[string]any{"finalizers": []any{"kubernetes"}}
	s.put("/api/v1/namespaces/ours", ns)
	s.put("/api/v1/namespaces/ns", clusterObject("v1", "Namespace", "ns", ""))
	s.put("/api/v1/nodes/n1", clusterObject("v1", "Node", "n1", "r1"))
	s.put("/api/v1/nodes/n2", clusterObject("v1", "Node", "n2", "r2"))
	for _, name := range []string{"a", "b", "c"} {
		s.put("/api/v1/namespaces/ns/pods/"+name, object("v1", "Pod", name, "r1"))
	}
	s.put("/api/v1/namespaces/ns/pods/theirs", object("v1", "Pod", "theirs", "r2"))
	s.put(widgetPath, object("example.com/v1", "Widget", "w", "r1"))
	root := object("v1", "ConfigMap", "istio-ca-root-cert", "") // made by istiod, with no label of ours
	root.SetNamespace("ours")
	s.put("/api/v1/namespaces/ours/configmaps/istio-ca-root-cert", root)
}

func clean(t *testing.T, s *fakeServer, finalize bool) (Left, error) {
	t.Helper()
	return Clean(t.Context(), CleanConfig{REST: s.config(), RunID: "r1", Finalize: finalize, Clock: &hastyClock{}})
}

func TestCleanRemovesTheRunAndNothingElse(t *testing.T) {
	s := newFakeServer(t)
	populate(s)
	if left, err := clean(t, s, true); err != nil || len(left) > 0 {
		t.Fatalf("left %v, err %v", left, err)
	}
	var paths []string
	for path := range s.objects {
		paths = append(paths, path)
	}
	for _, kept := range []string{"/api/v1/namespaces/ns", "/api/v1/nodes/n2", "/api/v1/namespaces/ns/pods/theirs"} {
		if s.objects[kept] == nil {
			t.Errorf("%s is gone", kept)
		}
	}
	if len(paths) != 3 {
		t.Errorf("still there: %v", paths)
	}
	before := len(s.requests())
	if left, err := clean(t, s, true); err != nil || len(left) > 0 {
		t.Errorf("once more: left %v, err %v", left, err)
	}
	for _, r := range s.requests()[before:] {
		if !strings.HasPrefix(r, "GET ") {
			t.Errorf("cleaning a clean cluster did %s", r)
		}
	}
}

func TestCleanSaysWhatIsLeftAndWhy(t *testing.T) {
	s := newFakeServer(t)
	populate(s)
	s.get(widgetPath).SetFinalizers([]string{"example.com/slow"})
	left, err := clean(t, s, false) // nobody finalizes the namespace
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, l := range left {
		got[l.Resource+" "+l.Namespace+"/"+l.Name] = l.Reason
	}
	if len(got) != 2 || !strings.Contains(got["widgets.example.com ns/w"], "example.com/slow") || got["namespaces /ours"] != "still terminating" {
		t.Errorf("left %v", got)
	}
}

func TestCleanEmptiesOnlyTerminatingNamespaces(t *testing.T) {
	s := newFakeServer(t)
	populate(s)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && r.URL.Path == "/api/v1/namespaces/ours" {
			answerStatus(w, http.StatusForbidden, metav1.StatusReasonForbidden, nil)
			return true
		}
		return false
	}
	left, err := clean(t, s, true)
	if err != nil || len(left) != 1 || left[0].Name != "ours" || !strings.Contains(left[0].Reason, "Forbidden") {
		t.Errorf("left %v, err %v", left, err)
	}
	if s.get("/api/v1/namespaces/ours/configmaps/istio-ca-root-cert") == nil {
		t.Error("a namespace that stays was emptied")
	}
}

func TestCleanEndsWithItsContext(t *testing.T) {
	s := newFakeServer(t)
	populate(s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Clean(ctx, CleanConfig{REST: s.config(), RunID: "r1", Clock: &hastyClock{}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err %v", err)
	}
}

func TestDrainWaitsForFinalizers(t *testing.T) {
	s := newFakeServer(t)
	d, err := NewDrainer(s.config(), &hastyClock{})
	if err != nil {
		t.Fatal(err)
	}
	slow := object("example.com/v1", "Widget", "w", "")
	slow.SetFinalizers([]string{"example.com/slow"})
	s.put(widgetPath, slow)
	s.put(podPath, object("v1", "Pod", "p", ""))
	if err := d.Drain(t.Context(), "ns"); !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "widgets.example.com w") {
		t.Errorf("err %v", err)
	}
	if s.get(widgetPath).GetDeletionTimestamp() == (*metav1.Time)(nil) {
		t.Error("the widget was not deleted")
	}
	s.mu.Lock()
	delete(s.objects, widgetPath)
	s.mu.Unlock()
	if err := d.Drain(t.Context(), "ns"); err != nil || s.get(podPath) != nil {
		t.Errorf("err %v, pod %v", err, s.get(podPath))
	}
}

// TestPodsAreLeftTheirGracePeriod: by a step's delete and by a graceful drain, until it is over; not by a kubelet, by other
// drains and by Clean.
func TestPodsAreLeftTheirGracePeriod(t *testing.T) {
	t.Parallel()
	slow := func(name string) *unstructured.Unstructured {
		p := object("v1", "Pod", name, "r1")
		p.Object["spec"] = map[string]any{"terminationGracePeriodSeconds": int64(30)}
		return p
	}
	for name, c := range map[string]struct {
		delete func(t *testing.T, s *fakeServer, w *Writer, clock *hastyClock) error
		stays  bool
	}{
		"step": {func(t *testing.T, _ *fakeServer, w *Writer, _ *hastyClock) error {
			return do(t, w, runtime.VerbDelete, pod("p")).Err
		}, true},
		"kubelet": {func(t *testing.T, s *fakeServer, w *Writer, _ *hastyClock) error {
			p := pod("p")
			p.UID = s.get(podPath).GetUID()
			return doAs(t, w, runtime.VerbDelete, p, runtime.PriorityControl).Err
		}, false},
		"drain": {func(t *testing.T, s *fakeServer, _ *Writer, clock *hastyClock) error {
			d, err := NewDrainer(s.config(), clock)
			return errors.Join(err, d.Drain(t.Context(), "ns"))
		}, false},
		"graceful drain": {func(t *testing.T, s *fakeServer, _ *Writer, clock *hastyClock) error {
			d, err := NewDrainer(s.config(), clock)
			d.Graceful = true
			if got := d.Drain(t.Context(), "ns"); !errors.Is(got, ErrNotEmpty) {
				t.Errorf("err %v, want that something is left", got)
			}
			return err
		}, true},
		"graceful drain, overdue": {func(t *testing.T, s *fakeServer, _ *Writer, clock *hastyClock) error {
			d, err := NewDrainer(s.config(), clock)
			d.Graceful = true
			_ = d.Drain(t.Context(), "ns")
			clock.now = time.Unix(31, 0)
			return errors.Join(err, d.Drain(t.Context(), "ns"))
		}, false},
		"clean": {func(t *testing.T, s *fakeServer, _ *Writer, _ *hastyClock) error {
			_, err := clean(t, s, true)
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clock := newFakeServer(t), &hastyClock{}
			w := newAPIWriter(t, s)
			s.put(podPath, slow("p"))
			s.put("/api/v1/namespaces/ns/pods/q", slow("q"))
			if err := c.delete(t, s, w, clock); err != nil {
				t.Fatal(err)
			}
			live := s.get(podPath)
			if (live != nil) != c.stays || c.stays && live.GetDeletionTimestamp() == nil {
				t.Errorf("it is there: %v", live)
			}
		})
	}
}
