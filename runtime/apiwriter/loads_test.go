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

// TestAwaitLoad: who waits for a load goes on when it ends, when it has lasted, or when something is measured beside it;
// there is nothing to wait for without a load, or where the api-server takes all writes.
func TestAwaitLoad(t *testing.T) {
	for _, c := range []struct {
		name  string
		until func(*testing.T, *Writer, *fates, gate) // what ends the wait
		after time.Duration                           // how long it lasts
		api   bool
	}{
		{name: "the end", until: func(_ *testing.T, _ *Writer, _ *fates, g gate) { close(g) }},
		{name: "an arrival", until: func(t *testing.T, w *Writer, f *fates, _ gate) {
			_ = w.Submit(t.Context(), f.op(runtime.VerbCreate, runtime.PriorityRate, pod("arrival")))
		}},
		{name: "patience", after: calmPatience},
		{name: "api", api: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := make(gate)
				w := startWriter(t, &scriptedBackend{answer: g.wait}, func(cfg *Config) {
					if !c.api {
						cfg.Store = &Store{}
					}
				})
				if err := w.AwaitLoad(t.Context()); err != nil {
					t.Errorf("without a load: %v", err)
				}
				f := newFates()
				submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("p0")))
				submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("p1")))
				begun, over := time.Now(), make(chan error, 1)
				go func() { over <- w.AwaitLoad(t.Context()) }()
				synctest.Wait()
				if c.until != nil {
					if len(over) != 0 {
						t.Error("it did not wait")
					}
					c.until(t, w, f, g)
				}
				if err := <-over; err != nil {
					t.Error(err)
				}
				if d := time.Since(begun); d != c.after {
					t.Errorf("it waited for %v, want %v", d, c.after)
				}
				if err := w.AwaitLoad(t.Context()); err != nil || time.Since(begun) != c.after {
					t.Errorf("the next waited, or failed: %v", err)
				}
				if c.name != "the end" {
					close(g)
				}
				f.wg.Wait()
			})
		})
	}
}

func TestAwaitLoadIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		w := startWriter(t, &scriptedBackend{answer: g.wait}, func(cfg *Config) { cfg.Store = &Store{} })
		f := newFates()
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("p")))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.AwaitLoad(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		close(g)
		f.wg.Wait()
	})
}
