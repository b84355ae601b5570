package runtime

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Execute carries out intents as bulk work: it keeps the writer's queue full, observes barriers and pauses, and returns
// the first error after everything submitted has ended.
func (e *Env) Execute(ctx context.Context, intents Intents) error {
	b := &batch{env: e}
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

// batch is a set of writes that end together.
type batch struct {
	env *Env
	wg  sync.WaitGroup
	mu  sync.Mutex
	err error
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
	b.wg.Add(1)
	b.env.submit(ctx, in, PriorityBulk, time.Time{}, func(r Result) {
		if r.Err != nil {
			b.fail(writeError(in, r.Err))
		}
		b.wg.Done()
	})
	if in.Barrier {
		return b.wait()
	}
	return nil
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

// submit hands one intent to the writer, with the proxy and the measurement that hang on it. done is called exactly
// once.
func (e *Env) submit(ctx context.Context, in Intent, prio Priority, due time.Time, done func(Result)) {
	if due.IsZero() {
		due = e.Clock.Now()
	}
	var tracked TrackedChange
	if in.Change != nil && e.Changes != nil {
		c := in.Change()
		c.Scheduled = due
		tracked = e.Changes.Track(c)
	}
	if in.Want != nil {
		e.Proxies.Want(in.Want())
	}
	for _, p := range in.Forget {
		e.Proxies.Forget(p.Key)
	}
	err := e.Writer.Submit(ctx, Op{Verb: in.Verb, Object: in.Build(), Priority: prio, Scheduled: due, Done: func(r Result) {
		if tracked != nil {
			if r.Err == nil {
				tracked.Written()
			} else {
				tracked.Cancel()
			}
		}
		done(r)
	}})
	if err != nil && e.Log != nil {
		// The writer has told done as well; this is for whoever reads the log.
		e.Log.Debug("write refused", "verb", in.Verb, "kind", in.Kind, "name", in.Name, "error", err)
	}
}

func writeError(in Intent, err error) error {
	name := in.Name
	if in.Namespace != "" {
		name = in.Namespace + "/" + in.Name
	}
	return fmt.Errorf("%s %s %s: %w", in.Verb, in.Kind, name, err)
}
