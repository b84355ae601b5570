package apiwriter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// running answers each create as the store does: with a pod that runs.
func running(_ context.Context, r request) error {
	if p, ok := r.op.Object.(*corev1.Pod); ok {
		p.Status.Phase = corev1.PodRunning
	}
	return nil
}

func TestTheEndOfALoadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		w := startWriter(t, &scriptedBackend{answer: func(ctx context.Context, r request) error {
			return errors.Join(running(ctx, r), g.wait(ctx, r))
		}}, nil)
		var mu sync.Mutex
		var told []string
		w.OnLoaded(func(ns string, pods int) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%s %d %v", ns, pods, w.Loading(ns)))
		})
		f := newFates()
		for i := range 3 {
			submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(fmt.Sprint("p", i))))
		}
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}}))
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityRate, pod("arrival")))
		synctest.Wait()
		if !w.Loading("ns") || w.Loading("other") {
			t.Errorf("loading: ns %v, other %v", w.Loading("ns"), w.Loading("other"))
		}
		close(g)
		f.wg.Wait()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if d := cmp.Diff([]string{"ns 3 false"}, told); d != "" {
			t.Error(d)
		}
	})
}

// TestLoadsDoNotRunAway: bulk writes wait for those who watch, other writes do not, and a watch that says nothing holds
// nobody for good.
func TestLoadsDoNotRunAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &scriptedBackend{answer: running}, func(c *Config) { c.Concurrency = 1 })
		w.OnLoaded(func(string, int) {})
		f := newFates()
		go func() {
			for i := range 3 * aheadMax {
				_ = w.Submit(t.Context(), f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(fmt.Sprint("p", i))))
			}
		}()
		expect := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			if n := f.count(runtime.FateDone); n != want {
				t.Errorf("%s: %d writes were made, want %d", what, n, want)
			}
		}
		expect("unseen", aheadMax)
		w.Seen()
		w.Seen()
		expect("two seen", aheadMax+2)
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityRate, pod("arrival")))
		expect("an arrival", aheadMax+3)
		time.Sleep(aheadPatience - time.Millisecond)
		expect("patience", aheadMax+3)
		time.Sleep(2 * time.Millisecond)
		expect("no report", 2*aheadMax+3)
		time.Sleep(aheadPatience)
		expect("none again", 3*aheadMax+1)
	})
}

// TestLoadsWithoutFollowers are not held up.
func TestLoadsWithoutFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &scriptedBackend{answer: running}, nil)
		f := newFates()
		for i := range 2 * aheadMax {
			submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(fmt.Sprint("p", i))))
		}
		f.wg.Wait()
	})
}
