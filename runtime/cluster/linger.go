package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plscript/plscript/runtime"
)

// lingerFor is how long the cluster's last writes may take after its end, before they are given up.
const lingerFor = 2 * time.Second

// underway counts writes that have not ended.
type underway struct {
	ctx  context.Context // of the writes, which outlives the run's
	n    atomic.Int64
	idle chan struct{} // holds a token when there may be none left
}

func newUnderway() *underway { return &underway{idle: make(chan struct{}, 1)} }

// begin makes the context of the writes from the run's; abandon gives up those that have not ended.
func (u *underway) begin(run context.Context) (abandon func()) {
	u.ctx, abandon = context.WithCancel(context.WithoutCancel(run))
	return abandon
}

// follow has op counted until it ends.
func (u *underway) follow(op *runtime.Op) {
	u.n.Add(1)
	done := op.Done
	op.Done = func(res runtime.Result) {
		if u.n.Add(-1) == 0 {
			signal(u.idle)
		}
		if done != nil {
			done(res)
		}
	}
}

// linger waits until no write is under way. A run that ends in the middle of a churn would count the last of them as
// failed otherwise, though nothing was wrong with it.
func (u *underway) linger(clock runtime.Clock) {
	ctx, stop := context.WithCancel(u.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		for u.n.Load() > 0 {
			select {
			case <-u.idle:
			case <-ctx.Done():
				return
			}
		}
	})
	_ = clock.Sleep(ctx, lingerFor) // ends before its time when stopped
	stop()
	wg.Wait()
}
