package runtime

import (
	"context"
	"sync"
	"time"
)

// Execute carries out intents as bulk work: it keeps the writer's queue full, observes barriers and pauses, and returns
// the first error after everything submitted has ended.
func (e *Env) Execute(ctx context.Context, intents Intents) error {
	return e.execute(ctx, &batch{env: e}, intents)
}

// ExecuteEach is [Env.Execute] for writes of which some may fail: refused is told of each one that does, and returns the
// error that ends them all, or nil to go on. It is called by several goroutines.
func (e *Env) ExecuteEach(ctx context.Context, intents Intents, refused func(Intent, error) error) error {
	return e.execute(ctx, &batch{env: e, refused: refused}, intents)
}

func (e *Env) execute(ctx context.Context, b *batch, intents Intents) error {
	for in, err := range intents {
		if err == nil {
			err = b.do(ctx, in)
		}
		if err != nil {
			b.fail(err)
			break
		}
	}
	return b.wait()
}

// Choose has the action choose what it will do, in one step that no other step of the run comes between, so that nobody
// deletes an object which it means to create before it has done so. What is not executed after all can be given to
// [Env.Release]; the rest is given up when the action's Run returns.
func (e *Env) Choose(choose func() ([]Intent, error)) ([]Intent, error) {
	return e.holds.plan(e, choose)
}

// Release gives up what [Env.Choose] returned and was not executed. What was executed is not touched.
func (e *Env) Release(intents []Intent) { e.holds.release(intents) }

// batch is a set of writes that end together.
type batch struct {
	env     *Env
	refused func(Intent, error) error // nil: every failure ends it
	wg      sync.WaitGroup
	mu      sync.Mutex
	err     error
}

func (b *batch) do(ctx context.Context, in Intent) error {
	if in.Pause > 0 {
		if err := b.wait(); err != nil {
			return err
		}
		return b.env.Clock.Sleep(ctx, in.Pause)
	}
	if err := b.failed(); err != nil {
		return err
	}
	var called func()
	if in.calls() {
		if err := b.env.calls.wait(ctx); err != nil {
			return err
		}
		called = b.env.calls.freed
	}
	b.wg.Add(1)
	b.env.submit(ctx, &in, PriorityBulk, time.Time{}, called, func(r Result) {
		if r.Err != nil {
			b.ended(in, r.Err)
		}
		b.wg.Done()
	})
	if in.Barrier {
		return b.wait()
	}
	return nil
}

// ended notes a write that failed.
func (b *batch) ended(in Intent, err error) {
	if b.refused == nil {
		b.fail(in.failed(err))
	} else if err := b.refused(in, err); err != nil {
		b.fail(in.failed(err))
	}
}

func (b *batch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

func (b *batch) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// wait waits for everything submitted and returns the first error. Every submitted write calls Done, also when its
// context is cancelled, so that this ends.
func (b *batch) wait() error {
	b.wg.Wait()
	return b.failed()
}
