package apiwriter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
)

// ErrClosed ends the writes that a closed writer has not made.
var ErrClosed = errors.New("the writer is closed")

// Writer implements [runtime.Writer] and [runtime.Meter]. All methods are safe for concurrent use. It runs goroutines
// until [Writer.Close].
type Writer struct {
	cfg     Config
	backend backend
	queue   *queue
	budget  *budget
	ledger  *ledger
	journal *journal
	stats   *recorder
	loads   *loads
	terms   *terms
	jitter  func() float64

	turn   chan struct{} // full while a worker takes the next job
	bulk   chan struct{} // one place a bulk write that is queued or in flight
	closed chan struct{}
	close  sync.Once
	wg     sync.WaitGroup

	inflight atomic.Int64
	upkeep   upkeep // nil without a store
	release  func() // closes the connections
}

// New returns a writer that is ready; it makes its first request with the first write.
func New(cfg Config) (*Writer, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	b := newBudget(cfg.QPS, cfg.Clock)
	l := newLedger()
	api, err := newAPI(cfg, b, l)
	if err != nil {
		return nil, fmt.Errorf("apiwriter: %w", err)
	}
	if cfg.Store == nil {
		w := start(cfg, api, b, l)
		w.release = api.close
		return w, nil
	}
	client, err := etcd.Dial(cfg.Store.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("apiwriter: %w", err)
	}
	w := start(cfg, newStore(cfg, client, api, b, l), b, l)
	w.upkeep = client
	w.release = func() {
		api.close()
		client.Close()
	}
	return w, nil
}

// start returns a running writer on any backend; cfg is complete.
func start(cfg Config, b backend, budget *budget, ledger *ledger) *Writer {
	w := &Writer{
		cfg: cfg, backend: b, budget: budget, ledger: ledger,
		queue:   newQueue(cfg.MaxPending),
		journal: newJournal(cfg),
		stats:   newRecorder(),
		terms:   newTerms(),
		jitter:  lockedJitter(cfg.Rand),
		bulk:    make(chan struct{}, cfg.Concurrency*bulkAhead),
		closed:  make(chan struct{}),
		turn:    make(chan struct{}, 1),
	}
	w.loads = newLoads(cfg.Clock, w.queue.poke)
	for range cfg.Concurrency {
		w.wg.Go(w.work)
	}
	return w
}

// Submit implements [runtime.Writer]. The object belongs to the writer until op.Done: it sets the run label (on a copy
// of the labels), and for updates the uid and resourceVersion. Control and rate operations never block, so op.Done may
// submit them. An error means that op was not queued; op.Done hears of it too.
func (w *Writer) Submit(ctx context.Context, op runtime.Op) error {
	target, err := prepare(&op, w.cfg.RunID)
	j := &job{op: op, target: target, ctx: ctx, account: w.stats.of(target, op.Verb)}
	switch {
	case err != nil:
	case op.Priority == runtime.PriorityBulk:
		err = w.reserve(j)
	case op.Priority == runtime.PriorityRate:
		w.loads.arrival()
	}
	if err == nil {
		var superseded []*job
		superseded, err = w.queue.push(j)
		w.supersede(superseded)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, runtime.ErrDropped):
		w.aside(func() { w.end(j, runtime.Result{Fate: runtime.FateDropped, Err: err}) })
	default:
		w.aside(func() { w.end(j, runtime.Result{Fate: runtime.FateFailed, Err: err}) })
	}
	return err
}

// Err is the reason why the writer refuses to create anything more, if it does: the journal cannot be written.
func (w *Writer) Err() error { return w.journal.failure() }

// Close ends the writer: requests in flight are aborted, every write that has not ended fails with [ErrClosed]. It
// returns when all of them have been told.
func (w *Writer) Close() error {
	w.close.Do(func() {
		for _, j := range w.queue.close() {
			w.wg.Go(func() { w.end(j, runtime.Result{Fate: runtime.FateFailed, Err: ErrClosed}) })
		}
		close(w.closed)
		w.terms.close()
	})
	w.wg.Wait()
	if w.release != nil {
		w.release()
	}
	return w.journal.failure()
}

// reserve takes a place for a bulk write, waiting for one while all are taken.
func (w *Writer) reserve(j *job) error {
	select {
	case <-j.ctx.Done():
		return j.ctx.Err()
	case <-w.closed:
		return ErrClosed
	default:
	}
	select {
	case w.bulk <- struct{}{}:
		j.slot = true
		w.loads.begin(j.target.id.namespace)
		return nil
	case <-j.ctx.Done():
		return j.ctx.Err()
	case <-w.closed:
		return ErrClosed
	}
}

func (w *Writer) work() {
	for {
		j := w.take()
		if j == nil {
			return
		}
		w.attempt(j)
	}
}

// take waits for a job and for its share of the budget. One worker does so at a time, so that jobs start in the
// queue's order. It returns nil when the writer is closed.
func (w *Writer) take() *job {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	for {
		wait, held := w.loads.hold()
		j, superseded := w.queue.next(held)
		w.supersede(superseded)
		if j != nil {
			// A job that is cancelled while it waits is seen to by attempt.
			_ = w.afford(j)
			return j
		}
		if !w.await(wait, held) {
			return nil
		}
	}
}

// afford waits for the share of j.
func (w *Writer) afford(j *job) error {
	if w.budget.unlimited() {
		return nil
	}
	ctx, cancel := context.WithCancelCause(j.ctx)
	defer cancel(nil)
	w.wg.Go(func() {
		select {
		case <-w.closed:
			cancel(ErrClosed)
		case <-ctx.Done():
		}
	})
	return w.budget.take(ctx)
}

// await waits until there may be something to do, if held no longer than that; false means that the writer is closed.
func (w *Writer) await(wait time.Duration, held bool) bool {
	var due <-chan time.Time
	if held {
		timer, stop := w.cfg.Clock.After(wait)
		defer stop()
		due = timer
	}
	select {
	case <-w.queue.wake:
	case <-due:
	case <-w.closed:
		return false
	}
	return true
}

// attempt sends one request for j (and what it needs to read first), then ends j or parks it until the next attempt.
func (w *Writer) attempt(j *job) {
	if err := w.over(j); err != nil {
		w.fail(j, err)
		return
	}
	if err := w.journal.failure(); err != nil && j.op.Verb != runtime.VerbDelete && j.op.Verb != runtime.VerbFinalize {
		w.fail(j, err)
		return
	}
	begin := w.cfg.Clock.Now()
	if j.attempts == 0 {
		j.first = begin
	}
	j.attempts++
	w.inflight.Add(1)
	t := w.terms.enter(j.ctx, begin)
	answer, err := w.backend.send(t.ctx, request{op: j.op, target: j.target, reread: j.reread})
	w.terms.leave(t)
	w.inflight.Add(-1)
	latency := w.cfg.Clock.Now().Sub(begin)
	w.stats.request(j.account, j.attempts, err == nil && answer.stored, err)
	if err == nil {
		w.settle(j, runtime.Result{Object: answer.object, Fate: runtime.FateDone, Attempts: j.attempts, Latency: latency}, answer)
		return
	}
	if over := w.over(j); over != nil {
		w.fail(j, over)
		return
	}
	v := judge(j.op, j.attempts, begin.Sub(j.first)+latency, err, w.jitter)
	if v.again {
		j.reread = v.reread
		w.cfg.Log.Debug("write is tried again", "verb", j.op.Verb, "object", j.target.id, "attempt", j.attempts, "in", v.wait, "err", err)
		w.park(j, v.wait)
		return
	}
	fate := runtime.FateFailed
	if v.overtaken {
		fate = runtime.FateSuperseded
	}
	w.finish(j, runtime.Result{Fate: fate, Err: err, Attempts: j.attempts, Latency: latency})
}

// settle records what the api-server has accepted before anybody is told. A create that the journal could not take is
// reported as failed, although the object exists: the run must not go on without a record of what it owns. A delete
// that is missing there does no harm.
func (w *Writer) settle(j *job, res runtime.Result, a answer) {
	w.ledger.record(j.op.Verb, j.target.id, a)
	if err := w.journal.record(j.op.Verb, j.target, a); err != nil && j.op.Verb == runtime.VerbCreate {
		w.cfg.Log.Error("the journal cannot be written", "err", err)
		w.finish(j, runtime.Result{Fate: runtime.FateFailed, Err: err, Attempts: res.Attempts, Latency: res.Latency})
		return
	}
	w.finish(j, res)
}

// park tries j again after d.
func (w *Writer) park(j *job, d time.Duration) {
	w.queue.park(j)
	w.wg.Go(func() {
		due, stop := w.cfg.Clock.After(d)
		defer stop()
		select {
		case <-due:
			if w.queue.unpark(j) {
				return
			}
			w.fail(j, ErrClosed)
		case <-j.ctx.Done():
			w.fail(j, j.ctx.Err())
		case <-w.closed:
			w.fail(j, ErrClosed)
		}
	})
}

func (w *Writer) fail(j *job, err error) {
	w.finish(j, runtime.Result{Fate: runtime.FateFailed, Err: err, Attempts: j.attempts})
}

// finish ends the job that its lane is busy with. Done comes before the lane moves on, so that the writes of one
// object are also reported in order.
func (w *Writer) finish(j *job, res runtime.Result) {
	w.end(j, res)
	w.queue.release(j)
}

// end gives j its one fate.
func (w *Writer) end(j *job, res runtime.Result) {
	w.stats.fate(j.account, res)
	if j.slot {
		<-w.bulk
		w.loads.end(j.target.id.namespace, res.Object)
	}
	if j.op.Done != nil {
		j.op.Done(res)
	}
	if w.cfg.Notify != nil {
		w.cfg.Notify.Notify()
	}
}

func (w *Writer) supersede(jobs []*job) {
	for _, j := range jobs {
		w.aside(func() { w.end(j, runtime.Result{Fate: runtime.FateSuperseded}) })
	}
}

// aside runs f on a goroutine of its own: the caller may hold locks that a Done takes. Close waits for it if it began
// before.
func (w *Writer) aside(f func()) {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	if w.queue.closed {
		go f()
		return
	}
	w.wg.Go(f)
}

// over is why j is not to be tried any more: its submitter has gone, or the writer is closed; nil if it is.
func (w *Writer) over(j *job) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.closed:
		return ErrClosed
	default:
		return nil
	}
}
