package apiwriter

import (
	"context"
	"sync"
	"time"
)

// termShare is for how long attempts may begin under the same context.
const termShare = time.Second

// terms makes the contexts of attempts. What an attempt waits for ends with its submitter's context, with the writer, and
// after attemptTimeout. Attempts for one submitter that begin within termShare have one context together: two contexts for
// each write of a load, with their timers and channels, would be a twentieth of what plscript uses for it.
type terms struct {
	mu     sync.Mutex
	open   map[<-chan struct{}]*term // those that attempts may still join, by what ends their submitter
	live   map[*term]struct{}        // all with an attempt under way
	closed bool
}

// term is a context that attempts share, the last of which ends it.
type term struct {
	ctx    context.Context
	key    <-chan struct{}
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the timeout
	begun  time.Time
	uses   int
}

func newTerms() *terms {
	return &terms{open: map[<-chan struct{}]*term{}, live: map[*term]struct{}{}}
}

// enter returns a term for an attempt for the submitter that begins now, which the caller leaves when the attempt has ended.
// Attempts take between attemptTimeout-termShare and attemptTimeout at most.
func (ts *terms) enter(submitter context.Context, now time.Time) *term {
	key := submitter.Done()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.open[key]
	if t == nil || now.Sub(t.begun) >= termShare || t.ctx.Err() != nil {
		t = ts.begin(submitter, now)
	}
	t.uses++
	return t
}

func (ts *terms) begin(submitter context.Context, now time.Time) *term {
	t := &term{key: submitter.Done(), begun: now}
	t.ctx, t.cancel = context.WithCancelCause(submitter)
	if ts.closed {
		t.cancel(ErrClosed)
	}
	t.ctx, t.stop = context.WithTimeout(t.ctx, attemptTimeout)
	ts.open[t.key], ts.live[t] = t, struct{}{}
	return t
}

// leave ends an attempt.
func (ts *terms) leave(t *term) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.uses--; t.uses > 0 {
		return
	}
	delete(ts.live, t)
	if ts.open[t.key] == t {
		delete(ts.open, t.key)
	}
	t.stop()
	t.cancel(nil)
}

// close ends all attempts, and those that begin later, with ErrClosed.
func (ts *terms) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.closed = true
	for t := range ts.live {
		t.cancel(ErrClosed)
	}
}
