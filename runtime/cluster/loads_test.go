package cluster

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// script is Loads as a test wants them.
type script struct {
	mu      sync.Mutex
	loading bool
	over    func(namespace string, pods int)
	seen    int
}

func (s *script) Loading(string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loading
}

func (s *script) OnLoaded(f func(string, int)) { s.over = f }

func (s *script) Seen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
}

func (s *script) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loading = true
}

func (s *script) end(pods int) {
	s.mu.Lock()
	s.loading = false
	s.mu.Unlock()
	s.over("ns", pods)
}

// bornPod is a pod that runs from its first moment, as a load stores it.
func bornPod(name, ip string) *corev1.Pod {
	p := testPod(name, ip)
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	return p
}

func inLoad(t *testing.T, f func(w *world, l *script)) {
	t.Helper()
	l := &script{}
	inWorldOf(t, func(c *Config) { c.Loads = l }, func(w *world) {
		w.create(testNode("n1"), testNamespace())
		w.settle()
		w.writes()
		l.begin()
		f(w, l)
	})
}

// sliceWrites are the writes of EndpointSlices among those since the last call.
func (w *world) sliceWrites() (out []string) {
	w.settle()
	for _, line := range w.writes() {
		if verb, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, "EndpointSlice ") {
			out = append(out, verb)
		}
	}
	return out
}

func TestSlicesWaitForTheEndOfALoad(t *testing.T) {
	inLoad(t, func(w *world, l *script) {
		w.create(testSvc(), bornPod("a", "10.1.0.1"), bornPod("b", "10.1.0.2"))
		if got := w.sliceWrites(); len(got) > 0 {
			t.Errorf("during the load: %v", got)
		}
		l.end(4)
		w.create(bornPod("c", "10.1.0.3"))
		if got := w.sliceWrites(); len(got) > 0 {
			t.Errorf("before the last pod was seen: %v", got)
		}
		w.create(bornPod("d", "10.1.0.4"))
		if d := cmp.Diff([]string{"create"}, w.sliceWrites()); d != "" {
			t.Error(d)
		}
		w.expectCounts(4, 4, 4)
		if l.seen != 4 {
			t.Errorf("%d pods were reported as seen, want 4", l.seen)
		}
		w.create(bornPod("e", "10.1.0.5"))
		if d := cmp.Diff([]string{"update"}, w.sliceWrites()); d != "" {
			t.Error("after the load:", d)
		}
	})
}

func TestChangesDoNotWaitForALoad(t *testing.T) {
	inLoad(t, func(w *world, _ *script) {
		w.create(testSvc(), bornPod("a", "10.1.0.1"), bornPod("b", "10.1.0.2"))
		w.sliceWrites()
		w.delete(w.pod("a"))
		if d := cmp.Diff([]string{"create"}, w.sliceWrites()); d != "" {
			t.Error(d)
		}
		w.expectCounts(1, 1, 1)
	})
}

// TestALoadWhosePodsAreNeverSeen must not hold the slices for good.
func TestALoadWhosePodsAreNeverSeen(t *testing.T) {
	inLoad(t, func(w *world, l *script) {
		w.create(testSvc(), bornPod("a", "10.1.0.1"))
		l.end(2)
		time.Sleep(catchUp + time.Millisecond)
		if d := cmp.Diff([]string{"create"}, w.sliceWrites()); d != "" {
			t.Error(d)
		}
	})
}

func TestALoadAfterALoad(t *testing.T) {
	inLoad(t, func(w *world, l *script) {
		w.create(testSvc(), bornPod("a", "10.1.0.1"))
		l.end(2)
		l.begin()
		w.create(bornPod("b", "10.1.0.2"))
		if got := w.sliceWrites(); len(got) > 0 {
			t.Errorf("during the second load: %v", got)
		}
		l.end(0)
		if d := cmp.Diff([]string{"create"}, w.sliceWrites()); d != "" {
			t.Error(d)
		}
	})
}

// TestTheWatchIsBehindALoad: the load is over before any of it is seen.
func TestTheWatchIsBehindALoad(t *testing.T) {
	inLoad(t, func(w *world, l *script) {
		l.end(2)
		w.create(testSvc(), bornPod("a", "10.1.0.1"))
		if got := w.sliceWrites(); len(got) > 0 {
			t.Errorf("before the last pod was seen: %v", got)
		}
		w.create(bornPod("b", "10.1.0.2"))
		if d := cmp.Diff([]string{"create"}, w.sliceWrites()); d != "" {
			t.Error(d)
		}
	})
}
