package runtime

import (
	"context"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/plscript/plscript/lang/ir"
)

// ArrivalLaw is how arrivals are spread around their rate.
type ArrivalLaw string

// The arrival laws. All have the same mean; they differ in the gaps between arrivals.
const (
	ArrivalsConstant ArrivalLaw = "constant" // equal gaps
	ArrivalsPoisson  ArrivalLaw = "poisson"  // exponential gaps: independent arrivals, as from many users
	ArrivalsUniform  ArrivalLaw = "uniform"  // gaps between 0 and twice the mean
	ArrivalsNormal   ArrivalLaw = "normal"   // normal gaps with a deviation of a fifth of the mean, cut at zero
)

// Load is a rate over a time, or for a number of arrivals.
type Load struct {
	Rate     ir.Rate
	Law      ArrivalLaw
	Duration ir.Duration // 0: as long as it takes
	Count    int         // the most arrivals; 0: as many as come
}

// Endless reports whether the load lasts until its step is cancelled.
func (l Load) Endless() bool { return l.Duration == 0 && l.Count == 0 }

// Arrivals yields when each arrival is due after the start, in order. The same generator state gives the same sequence.
// Gaps are drawn in the space of expected arrivals and mapped back through the rate, so that every law follows ramps.
func (l Load) Arrivals(r *rand.Rand) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		n := 0.0
		if l.Law == ArrivalsPoisson {
			n = r.ExpFloat64() // a Poisson process has no arrival at its start
		}
		for i := 0; l.Count == 0 || i < l.Count; i++ {
			at, ok := l.Rate.When(n)
			if !ok || l.Duration > 0 && at >= l.Duration.Std() || !yield(at) {
				return
			}
			n += l.gap(r)
		}
	}
}

func (l Load) gap(r *rand.Rand) float64 {
	switch l.Law {
	case ArrivalsPoisson:
		return r.ExpFloat64()
	case ArrivalsUniform:
		return 2 * r.Float64()
	case ArrivalsNormal:
		return max(0, 1+r.NormFloat64()/5)
	}
	return 1
}

// stepRand returns the generators of a step, from the scenario's seed and the step's place in the file: one for when
// arrivals come, one for what they do, so that a plan and a run that interleave them differently choose the same.
func stepRand(seed int64, phase string, index int) (when, what *rand.Rand) {
	h := fnv.New64a()
	h.Write([]byte(phase))
	place := h.Sum64() + uint64(index)
	return rand.New(rand.NewPCG(uint64(seed), place)), rand.New(rand.NewPCG(uint64(seed)+1, place))
}

// arrivals accounts for one rate step.
type arrivals struct {
	maxPending int

	mu                        sync.Mutex
	planned, started, dropped int64
	pending                   int
	lateness                  *hdrhistogram.Histogram // microseconds
	err                       error
	idle                      chan struct{} // closed when nothing is pending and the last arrival has come
	last                      bool
}

func newArrivals(maxPending int) *arrivals {
	return &arrivals{maxPending: maxPending, lateness: newLateness(), idle: make(chan struct{})}
}

// newLateness measures from a microsecond to an hour with two significant digits, in 4 kB or so.
func newLateness() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Hour.Microseconds(), 2) }

// Arrive runs a rate step, open loop: each arrival starts when the clock says so, whatever became of those before it.
// next returns what the arrival of that number does; its intents are written together, but for barriers. Arrive returns
// when the load is over and every arrival has ended, or with the first failure.
func (e *Env) Arrive(ctx context.Context, l Load, next func(i int) ([]Intent, error)) error {
	a := e.state.newRate(e.Limits.MaxPending)
	e.arrivals = a
	start := e.Clock.Now()
	i := 0
	for at := range l.Arrivals(e.when) {
		due := start.Add(at)
		if wait := due.Sub(e.Clock.Now()); wait > 0 {
			if err := e.Clock.Sleep(ctx, wait); err != nil {
				break
			}
		} else if ctx.Err() != nil {
			break
		}
		if a.failure() != nil {
			break
		}
		if a.admit(e.Clock.Now().Sub(due)) {
			intents, err := e.holds.plan(e, func() ([]Intent, error) { return next(i) })
			if err != nil {
				a.end(err)
				break
			}
			e.chain(ctx, intents, due)
		}
		i++
	}
	return a.drain(ctx)
}

// chain submits the intents of one arrival: those up to a barrier together, what follows when they have all ended well.
func (e *Env) chain(ctx context.Context, intents []Intent, due time.Time) {
	if len(intents) == 0 {
		e.arrivals.end(nil)
		return
	}
	n := slices.IndexFunc(intents, func(in Intent) bool { return in.Barrier }) + 1
	if n == 0 {
		n = len(intents)
	}
	var left atomic.Int64
	var failure atomic.Pointer[error]
	left.Store(int64(n))
	for _, in := range intents[:n] {
		e.submit(ctx, &in, PriorityRate, due, nil, func(r Result) {
			if r.Err != nil {
				err := in.failed(r.Err)
				failure.CompareAndSwap(nil, &err)
			}
			if left.Add(-1) > 0 {
				return
			}
			if err := failure.Load(); err != nil {
				e.holds.release(intents[n:])
				e.arrivals.end(*err)
				return
			}
			e.chain(ctx, intents[n:], due)
		})
	}
}

// admit counts an arrival that is late by d, and reports whether it may start.
func (a *arrivals) admit(d time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.planned++
	if a.pending >= a.maxPending {
		a.dropped++
		return false
	}
	a.started++
	a.pending++
	// A value past the histogram's hour is recorded as an hour: it is far out of bounds either way.
	_ = a.lateness.RecordValue(min(max(d.Microseconds(), 0), time.Hour.Microseconds()))
	return true
}

func (a *arrivals) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending--
	if a.err == nil {
		a.err = err
	}
	if a.last && a.pending == 0 {
		close(a.idle)
	}
}

func (a *arrivals) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// drain waits for the arrivals under way. A cancelled step's writes end by themselves, as failed.
func (a *arrivals) drain(ctx context.Context) error {
	a.mu.Lock()
	a.last = true
	if a.pending == 0 {
		close(a.idle)
	}
	a.mu.Unlock()
	<-a.idle
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.failure()
}

// outcome is the account so far.
func (a *arrivals) outcome() Arrivals {
	a.mu.Lock()
	defer a.mu.Unlock()
	return arrivalsOf(a.planned, a.started, a.dropped, a.lateness)
}

func arrivalsOf(planned, started, dropped int64, h *hdrhistogram.Histogram) Arrivals {
	us := func(v int64) time.Duration { return time.Duration(v) * time.Microsecond }
	return Arrivals{
		Planned: planned, Started: started, Dropped: dropped,
		LatenessP50: us(h.ValueAtQuantile(50)), LatenessP99: us(h.ValueAtQuantile(99)), LatenessMax: us(h.Max()),
	}
}
