package apiwriter

import (
	"context"
	"math/rand/v2"
	"sync"

	"golang.org/x/time/rate"

	"github.com/plscript/plscript/runtime"
)

// budget is the run's share of the api-server: a token bucket that every request takes from. Its burst is a tenth of
// a second.
type budget struct {
	limiter *rate.Limiter // nil means no limit
	clock   runtime.Clock
}

func newBudget(qps float64, clock runtime.Clock) *budget {
	if qps == 0 {
		return &budget{}
	}
	return &budget{limiter: rate.NewLimiter(rate.Limit(qps), max(1, int(qps/10))), clock: clock}
}

// unlimited reports whether nobody has to wait.
func (b *budget) unlimited() bool { return b.limiter == nil }

// take waits for one request's share, or until ctx is done.
func (b *budget) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil || b.limiter == nil {
		return err
	}
	now := b.clock.Now()
	r := b.limiter.ReserveN(now, 1)
	d := r.DelayFrom(now)
	if d == 0 {
		return nil
	}
	if err := b.clock.Sleep(ctx, d); err != nil {
		r.CancelAt(b.clock.Now())
		return err
	}
	return nil
}

// lockedJitter returns numbers in [0,1) from r for concurrent use, or the middle if there is no r.
func lockedJitter(r *rand.Rand) func() float64 {
	if r == nil {
		return func() float64 { return 0.5 }
	}
	var mu sync.Mutex
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64()
	}
}
