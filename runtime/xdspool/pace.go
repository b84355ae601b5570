package xdspool

import (
	"context"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// The pacing of connects, per second. istiod admits 15 + 5 a core, at most 100, and lets a stream above that wait for a
// second before it answers ResourceExhausted (Istio pilot/pkg/features/tuning.go RequestLimit, pilot/pkg/xds
// WaitForRequestLimit). The pool starts below the least of these and feels its way up.
const (
	initialRate = 20.0
	minRate     = 1.0
	rateStep    = 0.5 // by which a second of admissions speeds up
	rateCut     = 0.7 // by which a refusal slows down
	cutInterval = time.Second
)

// pacer spaces out the connects to one address.
type pacer struct {
	clock runtime.Clock
	hold  func(context.Context) error // see [Config.Hold]; may be nil
	turn  chan struct{}               // full while one client waits for its time; the others queue for it

	mu    sync.Mutex
	rate  float64
	fixed bool
	next  time.Time // when the next connect may start
	cut   time.Time // when the rate was last cut
}

// newPacer paces at rate connects a second for good, or finds the rate by itself if it is 0; none starts before hold, which may
// be nil, has returned.
func newPacer(clock runtime.Clock, rate float64, hold func(context.Context) error) *pacer {
	p := &pacer{clock: clock, hold: hold, turn: make(chan struct{}, 1), rate: rate, fixed: rate > 0}
	if !p.fixed {
		p.rate = initialRate
	}
	return p
}

// wait returns when the caller may connect, or with ctx's error. Callers wait one behind the other, so that a change of
// rate holds for all that have not connected yet.
func (p *pacer) wait(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	if p.hold != nil {
		if err := p.hold(ctx); err != nil {
			return err
		}
	}
	if d := p.reserve(); d > 0 {
		return p.clock.Sleep(ctx, d)
	}
	return ctx.Err()
}

// reserve takes the next start time and returns how far away it is.
func (p *pacer) reserve() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	start := p.next
	if start.Before(now) {
		start = now
	}
	p.next = start.Add(time.Duration(float64(time.Second) / p.rate))
	return start.Sub(now)
}

// admitted is told of a stream that got its first response.
func (p *pacer) admitted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fixed {
		p.rate += rateStep / p.rate
	}
}

// refused is told of a stream that got ResourceExhausted. Refusals of one congestion come together and count once.
func (p *pacer) refused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if p.fixed || now.Sub(p.cut) < cutInterval {
		return
	}
	p.cut = now
	p.rate = max(minRate, p.rate*rateCut)
}
