package apiwriter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/plscript/plscript/runtime"
)

// TestAttemptsShareATerm: those for one submitter that begin within a second, and nobody else's.
func TestAttemptsShareATerm(t *testing.T) {
	t.Parallel()
	ts, now := newTerms(), time.Unix(1000, 0)
	one, cancel := context.WithCancel(t.Context())
	defer cancel()
	other, cancelOther := context.WithCancel(t.Context())
	defer cancelOther()
	first := ts.enter(one, now)
	if ts.enter(one, now.Add(termShare-1)) != first {
		t.Error("two attempts of a moment have two contexts")
	}
	stranger := ts.enter(other, now)
	late := ts.enter(one, now.Add(termShare))
	if stranger == first || late == first {
		t.Error("another submitter's attempt, or one of later, has the same context")
	}
	ts.leave(first)
	if err := first.ctx.Err(); err != nil {
		t.Errorf("an attempt is ended with another: %v", err)
	}
	ts.leave(first)
	if first.ctx.Err() == nil {
		t.Error("nobody is left, and the context goes on")
	}
	if ts.enter(one, now.Add(termShare)) != late {
		t.Error("the end of an old term ended the sharing of a new one")
	}
	cancel()
	if late.ctx.Err() == nil || stranger.ctx.Err() != nil {
		t.Errorf("one submitter has gone: %v, and the other's is %v", late.ctx.Err(), stranger.ctx.Err())
	}
	for _, left := range []*term{late, late, stranger} {
		ts.leave(left)
	}
	if len(ts.open)+len(ts.live) > 0 {
		t.Errorf("%d and %d terms are kept for nobody", len(ts.open), len(ts.live))
	}
}

// TestTermsEndWithTheWriter: those under way, and those that begin later.
func TestTermsEndWithTheWriter(t *testing.T) {
	t.Parallel()
	ts, now := newTerms(), time.Unix(1000, 0)
	under := ts.enter(t.Context(), now)
	old := ts.enter(t.Context(), now.Add(termShare))
	ts.close()
	for i, term := range []*term{under, old, ts.enter(t.Context(), now.Add(3*termShare))} {
		if cause := context.Cause(term.ctx); !errors.Is(cause, ErrClosed) {
			t.Errorf("term %d ended with %v, want %v", i, cause, ErrClosed)
		}
	}
}

// TestAttemptsAreBounded: whoever joins a term last has nearly as long as its first.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTerms()
		began := time.Now()
		first := ts.enter(t.Context(), began)
		time.Sleep(termShare - time.Millisecond)
		joined := time.Now()
		last := ts.enter(t.Context(), joined)
		<-last.ctx.Done()
		if d := time.Since(joined); d < attemptTimeout-termShare || d > attemptTimeout || !errors.Is(last.ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("an attempt ended after %v with %v", d, last.ctx.Err())
		}
		if next := ts.enter(t.Context(), began); next == first || next.ctx.Err() != nil {
			t.Error("an attempt began in a term that is over")
		}
	})
}

// TestCloseEndsWhatIsUnderWay: a request, a pause between two attempts and the wait for the budget, all at once.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		qps    float64
		answer func(ctx context.Context, r request) error
	}{
		"request": {answer: func(ctx context.Context, _ request) error {
			<-ctx.Done()
			return ctx.Err()
		}},
		"pause":  {answer: func(context.Context, request) error { return apierrors.NewServiceUnavailable("busy") }},
		"budget": {qps: 0.001},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := startWriter(t, &scriptedBackend{answer: c.answer}, func(cfg *Config) { cfg.QPS = c.qps })
				ended := make(chan error, 2)
				for _, name := range []string{"a", "b"} {
					submit(t, w, runtime.Op{Verb: runtime.VerbCreate, Object: pod(name), Done: func(r runtime.Result) { ended <- r.Err }})
				}
				synctest.Wait()
				began := time.Now()
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(began); d > 0 {
					t.Errorf("it took %v to close the writer", d)
				}
				first, last := <-ended, <-ended
				if c.qps > 0 && first == nil {
					first = ErrClosed // the one that the budget allows
				}
				if !errors.Is(first, ErrClosed) || !errors.Is(last, ErrClosed) {
					t.Errorf("the writes ended with %v and %v", first, last)
				}
				if len(w.terms.open)+len(w.terms.live) > 0 {
					t.Error("contexts are left")
				}
			})
		})
	}
}
