package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// tick watches `abort` thresholds and reports progress, once a second, until ctx is done.
func (r *run) tick(ctx context.Context) {
	for r.Clock.Sleep(ctx, time.Second) == nil {
		m := r.state.moment(ctx)
		if r.Tick != nil {
			r.Tick(m.readings)
		}
		for i, t := range r.thresholds {
			if !t.Abort {
				continue
			}
			// Without data the threshold is pending: only a plain false, or an error, stops the run.
			if out := t.evaluate(ctx, r.state, m); !out.Passed && !out.NoData && ctx.Err() == nil {
				r.mu.Lock()
				r.aborted = i
				r.mu.Unlock()
				r.cancel(fmt.Errorf("%w: %s", errAborted, t.Name))
				return
			}
		}
	}
}

// finish takes the last readings, evaluates the thresholds and decides the exit code.
func (r *run) finish(ctx context.Context) {
	out := r.out
	cause := context.Cause(ctx)
	out.Interrupted = errors.Is(cause, ErrInterrupted)
	if out.Err == nil && cause != nil && !out.Interrupted && !errors.Is(cause, errAborted) && !errors.Is(cause, errOver) {
		out.Err = cause // cancelled from outside: the sandbox died, for one
	}
	// The run's own context may be cancelled by now; the verdict is due all the same.
	ctx = context.WithoutCancel(ctx)
	m := r.state.moment(ctx)
	out.Readings, out.Arrivals, out.Ended = m.readings, r.state.arrivals(), r.Clock.Now()
	out.Stages = r.Stages.Outcomes()
	for i, t := range r.thresholds {
		to := t.evaluate(ctx, r.state, m)
		if r.aborted == i {
			to.Aborted, to.Passed = true, false // what stopped the run stays breached, whatever holds now
		}
		out.Thresholds = append(out.Thresholds, to)
	}
	out.Invalid = r.invalid()
	out.Exit = r.exit()
}

// invalid says why the figures mean nothing: plscript itself could not keep up.
func (r *run) invalid() []string {
	a := r.out.Arrivals
	var why []string
	if a.Dropped > 0 {
		why = append(why, fmt.Sprintf("%d of %d arrivals were dropped: more than maxPending (%d) were waiting", a.Dropped, a.Planned, r.Scenario.MaxPending))
	}
	if limit := r.Scenario.MaxLateness.Std(); limit > 0 && a.LatenessP99 > limit {
		why = append(why, fmt.Sprintf("arrivals started late: p99 %v is above maxLateness (%v)", roundDuration(a.LatenessP99), limit))
	}
	return why
}

func (r *run) exit() ExitCode {
	var codes []ExitCode
	out := r.out
	if out.Interrupted {
		codes = append(codes, ExitInterrupted)
	}
	if out.Err != nil {
		codes = append(codes, exitOf(out.Err))
	}
	if len(out.Invalid) > 0 {
		codes = append(codes, ExitInvalid)
	}
	for _, t := range out.Thresholds {
		if !t.Passed {
			codes = append(codes, ExitThreshold)
		}
	}
	return WorstExit(codes...)
}

// exitOf is the exit code of the error that ended a run.
func exitOf(err error) ExitCode {
	if errors.As(err, new(*CollisionError)) {
		return ExitTarget
	}
	if coded := (interface{ ExitCode() ExitCode })(nil); errors.As(err, &coded) {
		return coded.ExitCode()
	}
	if errors.As(err, new(*stepError)) {
		return ExitAction
	}
	return ExitInternal
}
