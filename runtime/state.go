package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime/expr"
)

// state is what conditions see of a run: the meters, the phases and the time.
type state struct {
	lang    *Language
	clock   Clock
	start   time.Time
	meters  []Meter
	signal  *Signal
	objects Objects
	metrics Metrics

	mu       sync.Mutex
	statuses map[string]Status
	rate     []*arrivals
}

// Evaluation is bounded so that a busy mesh does not keep a waiting step's core busy, and repeated when nothing is heard
// for a while because some readings change with time alone.
const (
	minEvaluation = 25 * time.Millisecond
	maxEvaluation = time.Second
)

func (s *state) setPhase(name string, st Status) {
	s.mu.Lock()
	s.statuses[name] = st
	s.mu.Unlock()
	s.signal.Notify()
}

func (s *state) phase(name string) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.statuses[name]
	return st, ok
}

// newRate registers the account of a rate step.
func (s *state) newRate(maxPending int) *arrivals {
	a := newArrivals(maxPending)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate = append(s.rate, a)
	return a
}

// arrivals sums all rate steps.
func (s *state) arrivals() Arrivals {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := newLateness()
	var planned, started, dropped int64
	for _, a := range s.rate {
		a.mu.Lock()
		planned, started, dropped = planned+a.planned, started+a.started, dropped+a.dropped
		all.Merge(a.lateness)
		a.mu.Unlock()
	}
	return arrivalsOf(planned, started, dropped, all)
}

// moment takes all readings.
func (s *state) moment(ctx context.Context) *moment { return s.momentIn(ctx, Readings{}) }

// momentIn is moment with a map for the readings, whose contents are lost: a wait uses the same again and again.
func (s *state) momentIn(ctx context.Context, r Readings) *moment {
	clear(r)
	for _, m := range s.meters {
		m.Read(r)
	}
	if a := s.arrivals(); a.Planned > 0 {
		r["loadgen.dropped"] = a.Dropped
		if a.Started > 0 {
			r["loadgen.lateness"] = a.LatenessP99
		}
	}
	return &moment{
		readings: r, elapsed: s.clock.Now().Sub(s.start), phase: s.phase, ctx: ctx, objects: s.objects, metrics: s.metrics,
	}
}

func (s *state) test(ctx context.Context, cond *expr.Program) (bool, map[string]string, error) {
	m := s.moment(ctx)
	ok, err := cond.True(ctx, s.lang.vars(m))
	return ok, values(ctx, cond, m), err
}

// await evaluates cond whenever something changes until it is true.
func (s *state) await(ctx context.Context, cond *expr.Program) error {
	readings := Readings{}
	for {
		changed := s.signal.Wait()
		m := s.momentIn(ctx, readings)
		ok, err := cond.True(ctx, s.lang.vars(m))
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return &awaitError{cause: context.Cause(ctx), text: cond.Text, values: values(ctx, cond, m)}
		case err != nil && !errors.Is(err, expr.ErrNoData):
			return fmt.Errorf("%s: %w", cond.Text, err)
		}
		// A cancelled sleep is seen at the next turn, with fresh values.
		_ = s.clock.Sleep(ctx, minEvaluation)
		late, stop := s.clock.After(maxEvaluation)
		select {
		case <-changed:
		case <-late:
		case <-ctx.Done():
		}
		stop()
	}
}

// awaitError is a wait that ended before its condition was true.
type awaitError struct {
	cause  error
	text   string
	values map[string]string
}

func (e *awaitError) Error() string {
	return fmt.Sprintf("%s: %v; last values: %s", e.text, e.cause, FormatValues(e.values))
}

func (e *awaitError) Unwrap() error { return e.cause }

// FormatValues prints what a condition read: "pods.ready = 3, pods.desired = 10".
func FormatValues(values map[string]string) string {
	if len(values) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(values))
	for k, v := range values {
		parts = append(parts, k+" = "+v)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
