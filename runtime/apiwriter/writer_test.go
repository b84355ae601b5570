package apiwriter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// gate lets a scriptedBackend hold requests until it is opened.
type gate chan struct{}

func (g gate) wait(ctx context.Context, _ request) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func submit(t *testing.T, w *Writer, op runtime.Op) {
	t.Helper()
	if err := w.Submit(t.Context(), op); err != nil {
		t.Fatal(err)
	}
}

func TestUrgentWritesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		b := &scriptedBackend{answer: g.wait}
		w := startWriter(t, b, func(c *Config) { c.Concurrency = 1 })
		f := newFates()
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("first")))
		synctest.Wait()
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("bulk")))
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityRate, pod("rate")))
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("lifted")))
		submit(t, w, f.op(runtime.VerbStatus, runtime.PriorityControl, pod("lifted")))
		submit(t, w, f.op(runtime.VerbStatus, runtime.PriorityControl, pod("control")))
		close(g)
		f.wg.Wait()
		want := []string{"create first", "create lifted", "status control", "status lifted", "create rate", "create bulk"}
		if d := cmp.Diff(want, b.log()); d != "" {
			t.Error("order (-want +got):\n", d)
		}
	})
}

func TestWritesOfOneObjectKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, seen := map[string]bool{}, map[string][]string{}
		failures := 0
		b := &scriptedBackend{answer: func(_ context.Context, r request) error {
			name := r.target.id.name
			mu.Lock()
			if busy[name] {
				t.Errorf("two requests for %s at once", name)
			}
			busy[name] = true
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			busy[name] = false
			if failures++; failures%5 == 0 { // a retry must not be overtaken either
				return io.ErrUnexpectedEOF
			}
			seen[name] = append(seen[name], string(r.op.Verb))
			return nil
		}}
		w := startWriter(t, b, func(c *Config) { c.Concurrency = 8 })
		f := newFates()
		for i := range 50 {
			name := fmt.Sprintf("p%d", i)
			submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(name)))
			submit(t, w, f.op(runtime.VerbStatus, runtime.PriorityControl, pod(name)))
			submit(t, w, f.op(runtime.VerbDelete, runtime.PriorityRate, pod(name)))
		}
		f.wg.Wait()
		for name, verbs := range seen {
			if d := cmp.Diff([]string{"create", "status", "delete"}, verbs); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		if f.count(runtime.FateDone) != 150 {
			t.Errorf("done = %d, want 150", f.count(runtime.FateDone))
		}
	})
}

func TestOnlyWritesBehindOneInFlightMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		b := &scriptedBackend{answer: g.wait}
		w := startWriter(t, b, func(c *Config) { c.Concurrency = 2 })
		f := newFates()
		up := func(label string, verb runtime.Verb, p runtime.Priority) {
			o := pod("x")
			o.Labels = map[string]string{"v": label}
			op := f.op(verb, p, o)
			submit(t, w, op)
		}
		up("1", runtime.VerbUpdate, runtime.PriorityBulk)
		synctest.Wait() // 1 is in flight
		up("2", runtime.VerbUpdate, runtime.PriorityBulk)
		up("3", runtime.VerbUpdate, runtime.PriorityBulk) // replaces 2
		up("4", runtime.VerbStatus, runtime.PriorityControl)
		up("5", runtime.VerbStatus, runtime.PriorityControl) // replaces 4
		up("6", runtime.VerbUpdate, runtime.PriorityBulk)    // must not pass the status
		synctest.Wait()
		if got := f.count(runtime.FateSuperseded); got != 2 {
			t.Errorf("superseded = %d, want 2", got)
		}
		if got := w.queue.pending(); got != 3 {
			t.Errorf("pending = %d, want 3", got)
		}
		close(g)
		f.wg.Wait()
		if d := cmp.Diff([]string{"update x", "update x", "status x", "update x"}, b.log()); d != "" {
			t.Error(d)
		}
		if got := w.queue.pending(); got != 0 {
			t.Errorf("pending = %d at the end", got)
		}
	})
}

func TestQueuedWritesDoNotMergeBeforeOneIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		w := startWriter(t, &scriptedBackend{answer: g.wait}, func(c *Config) { c.Concurrency = 1 })
		f := newFates()
		submit(t, w, f.op(runtime.VerbUpdate, runtime.PriorityBulk, pod("other")))
		synctest.Wait()
		for range 3 {
			submit(t, w, f.op(runtime.VerbUpdate, runtime.PriorityBulk, pod("x")))
		}
		synctest.Wait()
		if got := f.count(runtime.FateSuperseded); got != 0 {
			t.Errorf("%d superseded while none of the object is in flight", got)
		}
		close(g)
		f.wg.Wait()
		if f.count(runtime.FateDone) != 3 || f.count(runtime.FateSuperseded) != 1 {
			t.Errorf("%v; want the first and the last of x and the other done, one superseded", f.n)
		}
	})
}

func TestDoneComesBeforeTheNextOfTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan struct{}, 1)
		w := startWriter(t, &scriptedBackend{answer: func(_ context.Context, r request) error {
			if r.op.Verb == runtime.VerbStatus && len(told) == 0 {
				t.Error("the status was sent before the create was reported")
			}
			return nil
		}}, nil)
		f := newFates()
		submit(t, w, runtime.Op{Verb: runtime.VerbCreate, Object: pod("p"), Done: func(runtime.Result) {
			time.Sleep(time.Millisecond)
			told <- struct{}{}
		}})
		submit(t, w, f.op(runtime.VerbStatus, runtime.PriorityControl, pod("p")))
		f.wg.Wait()
	})
}

func TestBulkWaitsAndArrivalsDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		w := startWriter(t, &scriptedBackend{answer: g.wait}, func(c *Config) { c.Concurrency, c.MaxPending = 1, 3 })
		f := newFates()
		go func() {
			for i := range bulkAhead + 1 {
				_ = w.Submit(t.Context(), f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(fmt.Sprint("bulk", i))))
			}
		}()
		synctest.Wait()
		if got := w.queue.pending(); got != bulkAhead-1 {
			t.Errorf("%d bulk writes pending, want %d behind the one in flight", got, bulkAhead-1)
		}
		dropped := 0
		for i := range 5 {
			err := w.Submit(t.Context(), f.op(runtime.VerbCreate, runtime.PriorityRate, pod(fmt.Sprint("rate", i))))
			if errors.Is(err, runtime.ErrDropped) {
				dropped++
			}
		}
		if dropped != 2 {
			t.Errorf("dropped %d arrivals of 5, want 2", dropped)
		}
		synctest.Wait()
		close(g)
		f.wg.Wait()
		if f.count(runtime.FateDropped) != 2 || f.count(runtime.FateDone) != bulkAhead+1+3 {
			t.Errorf("fates: %v", f.n)
		}
		got := w.Stats().Total
		if got.Done != bulkAhead+4 || got.Dropped != 2 || got.Requests != bulkAhead+4 {
			t.Errorf("stats: %+v", got)
		}
	})
}

// flakyBackend refuses every third request and takes its time over the others.
type flakyBackend struct {
	scriptedBackend
	t       *testing.T
	sends   atomic.Int64
	stopped atomic.Bool // nothing may come any more
}

func (b *flakyBackend) send(ctx context.Context, r request) (answer, error) {
	if b.stopped.Load() {
		b.t.Error("a request was sent after the cancel")
	}
	n := b.sends.Add(1)
	if n%3 == 0 {
		return answer{}, apierrors.NewServiceUnavailable("busy")
	}
	if err := (runtimetest.Clock{}).Sleep(ctx, time.Duration(n%7)*time.Millisecond); err != nil {
		return answer{}, err
	}
	return b.scriptedBackend.send(ctx, r)
}

func TestFatesAddUpWhenCancelled(t *testing.T) {
	for _, how := range []string{"context", "close"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &flakyBackend{t: t}
				w := startWriter(t, b, func(c *Config) { c.Concurrency, c.MaxPending = 4, 50 })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f := newFates()
				var producers sync.WaitGroup
				for p := range 3 {
					producers.Go(func() {
						for i := range 300 {
							verb := []runtime.Verb{runtime.VerbCreate, runtime.VerbUpdate, runtime.VerbStatus, runtime.VerbDelete}[i%4]
							_ = w.Submit(ctx, f.op(verb, runtime.Priority(p), pod(fmt.Sprint("p", i%40))))
						}
					})
				}
				time.Sleep(20 * time.Millisecond)
				synctest.Wait()
				if how == "context" {
					cancel()
				} else {
					_ = w.Close()
				}
				synctest.Wait()
				b.stopped.Store(true)
				producers.Wait()
				f.wg.Wait()
				total := 0
				for _, n := range f.n {
					total += n
				}
				s := w.Stats().Total
				if total != 900 || s.Done+s.Failed+s.Superseded+s.Dropped != 900 {
					t.Errorf("fates %v, stats %+v: want 900 in all", f.n, s)
				}
				if s.Failed == 0 || s.Done == 0 {
					t.Errorf("the cancel came too early or too late to mean anything: %+v", s)
				}
				if w.queue.pending() != 0 || w.inflight.Load() != 0 {
					t.Errorf("pending %d, inflight %d", w.queue.pending(), w.inflight.Load())
				}
			})
		})
	}
}

func TestBudgetPacesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &scriptedBackend{}
		w := startWriter(t, b, func(c *Config) { c.QPS = 10 })
		f := newFates()
		begin := time.Now()
		for i := range 21 {
			submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(fmt.Sprint("p", i))))
		}
		f.wg.Wait()
		if got := time.Since(begin); got != 2*time.Second {
			t.Errorf("21 requests at 10 a second took %v, want 2s", got)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := &scriptedBackend{answer: func(context.Context, request) error {
			if n++; n <= 2 {
				return apierrors.NewTooManyRequests("slow down", 3)
			}
			return nil
		}}
		w := startWriter(t, b, nil)
		f := newFates()
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod("p")))
		f.wg.Wait()
		if got := b.at[2].Sub(b.at[0]); got != 6*time.Second {
			t.Errorf("third request came after %v, want 6s", got)
		}
		if s := w.Stats().Total; s.Throttled != 2 || s.Retries != 2 || s.Done != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRetriesAreBounded(t *testing.T) {
	gr := schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct {
		err     error
		verb    runtime.Verb
		kubelet bool
		sends   int
		fate    runtime.Fate
		atLeast time.Duration
	}{
		"connection":         {err: io.ErrUnexpectedEOF, sends: maxAttempts, fate: runtime.FateFailed, atLeast: 10 * time.Second},
		"5xx":                {err: apierrors.NewInternalError(errors.New("etcd")), sends: maxAttempts, fate: runtime.FateFailed, atLeast: 10 * time.Second},
		"429 for ever":       {err: apierrors.NewTooManyRequests("", 7), sends: 5, fate: runtime.FateFailed, atLeast: 28 * time.Second},
		"429 in short":       {err: apierrors.NewTooManyRequests("", 1), sends: 12, fate: runtime.FateFailed, atLeast: 25 * time.Second},
		"invalid":            {err: apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "p", nil), sends: 1, fate: runtime.FateFailed},
		"forbidden":          {err: apierrors.NewForbidden(gr, "p", nil), sends: 1, fate: runtime.FateFailed},
		"missing":            {err: apierrors.NewNotFound(gr, "p"), verb: runtime.VerbUpdate, sends: 1, fate: runtime.FateFailed},
		"missing to kubelet": {err: apierrors.NewNotFound(gr, "p"), verb: runtime.VerbStatus, kubelet: true, sends: 1, fate: runtime.FateSuperseded},
		"no namespace":       {err: apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "ns"), verb: runtime.VerbCreate, sends: maxAttempts, fate: runtime.FateFailed},
		"conflict":           {err: apierrors.NewConflict(gr, "p", errors.New("changed")), verb: runtime.VerbUpdate, sends: maxAttempts, fate: runtime.FateFailed},
		"unusable":           {err: permanent{errors.New("no")}, sends: 1, fate: runtime.FateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.verb == "" {
					c.verb = runtime.VerbCreate
				}
				b := &scriptedBackend{answer: func(_ context.Context, r request) error {
					if apierrors.IsConflict(c.err) && r.reread == (len(r.op.Object.GetAnnotations()) == 0) {
						t.Error("reread must be set after a conflict and only then")
					}
					r.op.Object.SetAnnotations(map[string]string{"seen": ""})
					return c.err
				}}
				w := startWriter(t, b, nil)
				f := newFates()
				begin := time.Now()
				prio := runtime.PriorityBulk
				if c.kubelet {
					prio = runtime.PriorityControl
				}
				submit(t, w, f.op(c.verb, prio, pod("p")))
				f.wg.Wait()
				if got := len(b.log()); got != c.sends {
					t.Errorf("%d requests, want %d", got, c.sends)
				}
				if f.count(c.fate) != 1 {
					t.Errorf("fates %v, want one %s", f.n, c.fate)
				}
				if took := time.Since(begin); took < c.atLeast || took > retryWindow {
					t.Errorf("gave up after %v", took)
				}
			})
		})
	}
}

func TestDoneMaySubmit(t *testing.T) {
	w := startWriter(t, &scriptedBackend{}, func(c *Config) { c.Concurrency = 1 })
	f := newFates()
	next := f.op(runtime.VerbStatus, runtime.PriorityControl, pod("p"))
	submit(t, w, runtime.Op{Verb: runtime.VerbCreate, Object: pod("p"), Priority: runtime.PriorityBulk, Done: func(runtime.Result) {
		if err := w.Submit(t.Context(), next); err != nil {
			t.Error(err)
		}
	}})
	f.wg.Wait()
	if f.count(runtime.FateDone) != 1 {
		t.Errorf("%v", f.n)
	}
}
