package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/expr"
)

// Parts are what a run is put together from.
type Parts struct {
	RunID    string
	Clock    Clock
	Writer   Writer // nil where there is nothing to write to: a step that tries fails
	Proxies  Proxies
	Changes  Changes
	Meters   []Meter // besides the planned mesh
	Objects  Objects // what kube.list and kube.get read; nil leaves them without data
	Metrics  Metrics // what istiod.metric reads; nil leaves it without data
	Signal   *Signal // notified whenever a meter may have changed
	Observer Observer
	Log      *slog.Logger
	Stages   *Stages // may be nil
	Services Services
	// Tick, if set, is called about once a second with fresh readings, for progress.
	Tick func(Readings)
	// PhaseEnded, if set, is called when a phase has ended well, before any that waits for it starts.
	PhaseEnded func(ctx context.Context, phase string)
}

// ErrInterrupted is the cause to cancel a run's context with when a signal ends it.
var ErrInterrupted = errors.New("interrupted")

// errAborted is the cause that a breached `abort` threshold cancels with, and errOver the one that ends steps as a
// success: background steps when the last phase has ended, all of them when an open-ended run is interrupted.
var (
	errAborted = errors.New("stopped by a threshold")
	errOver    = errors.New("it is over")
)

// openEnded returns a context in which an interrupt of ctx is no failure but the end of the run. Any other cause stays.
func openEnded(ctx context.Context) (context.Context, func()) {
	ended, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if errors.Is(cause, ErrInterrupted) {
			cause = errOver
		}
		cancel(cause)
	})
	return ended, func() {
		forget()
		cancel(nil)
	}
}

// run is one execution of a graph.
type run struct {
	*Graph
	Parts
	mesh   *Mesh
	state  *state
	calls  *calls
	holds  *holds
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	out     *Outcome
	aborted int // index of the threshold that stopped the run, -1 if none did

	background     sync.WaitGroup
	stopBackground context.CancelCauseFunc
}

// Run executes the graph and returns when every step has ended. It cleans nothing up.
func (g *Graph) Run(ctx context.Context, parts Parts) *Outcome {
	r := &run{Graph: g, Parts: parts, mesh: g.newMesh(), calls: newCalls(), holds: newHolds(), aborted: -1, out: &Outcome{Started: parts.Clock.Now()}}
	r.state = &state{
		lang: g.lang, clock: parts.Clock, start: r.out.Started, signal: parts.Signal,
		meters: append([]Meter{r.mesh}, parts.Meters...), statuses: map[string]Status{},
		objects: parts.Objects, metrics: parts.Metrics,
	}
	if r.Parts.Writer == nil {
		r.Parts.Writer = noWriter{}
	}
	if r.Parts.Stages == nil {
		r.Parts.Stages = &Stages{Notify: parts.Signal}
	}
	r.state.meters = append(r.state.meters, r.Parts.Stages)
	r.Parts.Services.Inputs = g.inputs
	r.prepare()
	if g.Scenario.OpenEnded {
		var stop func()
		ctx, stop = openEnded(ctx)
		defer stop()
	}
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	ticking, stopTicking := context.WithCancel(ctx)
	var ticker sync.WaitGroup
	ticker.Go(func() { r.tick(ticking) })
	r.runPhases(ctx)
	stopTicking()
	ticker.Wait()
	r.finish(ctx)
	return r.out
}

// prepare lays out the outcome so that every phase and step has its place from the start.
func (r *run) prepare() {
	for _, ph := range r.Graph.phases {
		po := PhaseOutcome{Name: ph.Name, Status: StatusPending}
		for _, st := range ph.steps {
			po.Steps = append(po.Steps, StepOutcome{
				Name: st.Name, Kind: st.Kind, Path: st.Path, Pos: st.Pos, Background: st.Background, Status: StatusPending,
			})
		}
		r.out.Phases = append(r.out.Phases, po)
		r.state.setPhase(ph.Name, StatusPending)
	}
}

// runPhases runs all phases, each after those it waits for, and ends the background steps when the last one has ended.
func (r *run) runPhases(ctx context.Context) {
	bg, stop := context.WithCancelCause(ctx)
	r.stopBackground = stop
	done := map[string]chan struct{}{}
	for _, ph := range r.Graph.phases {
		done[ph.Name] = make(chan struct{})
	}
	var wg sync.WaitGroup
	for i, ph := range r.Graph.phases {
		wg.Go(func() {
			defer close(done[ph.Name])
			for _, after := range ph.After {
				<-done[after]
			}
			r.phase(ctx, bg, i)
		})
	}
	wg.Wait()
	stop(errOver)
	r.background.Wait()
}

// phase runs one phase.
func (r *run) phase(ctx, bg context.Context, i int) {
	ph := r.Graph.phases[i]
	if ctx.Err() != nil {
		for j := range ph.steps {
			r.setStep(i, j, StatusCancelled, nil)
		}
		r.setPhase(i, StatusCancelled, nil)
		return
	}
	r.setPhase(i, StatusRunning, nil)
	var fore sync.WaitGroup
	for j, st := range ph.steps {
		switch {
		case st.Background:
			r.background.Go(func() { r.step(bg, i, j) })
		case ph.Parallel:
			fore.Go(func() { r.step(ctx, i, j) })
		default:
			r.step(ctx, i, j)
		}
	}
	fore.Wait()
	if ctx.Err() != nil {
		r.setPhase(i, r.endedBy(ctx, i), nil)
		return
	}
	if r.PhaseEnded != nil {
		r.PhaseEnded(ctx, ph.Name)
	}
	r.setPhase(i, StatusPassed, nil)
}

// endedBy tells a phase that failed, or that ended well when the run was over, from one that was stopped by another's
// failure.
func (r *run) endedBy(ctx context.Context, i int) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := StatusCancelled
	if errors.Is(context.Cause(ctx), errOver) {
		status = StatusPassed
	}
	for _, s := range r.out.Phases[i].Steps {
		switch s.Status {
		case StatusFailed:
			return StatusFailed
		case StatusCancelled:
			status = StatusCancelled
		}
	}
	return status
}

// step runs one step with its tries and records how it ended. A failure that is not tolerated cancels the run.
func (r *run) step(ctx context.Context, i, j int) {
	st := r.Graph.phases[i].steps[j]
	if ctx.Err() != nil {
		r.setStep(i, j, StatusCancelled, nil)
		return
	}
	if st.when != nil {
		ok, vals, err := r.state.test(ctx, st.when)
		if err != nil {
			r.fail(i, j, fmt.Errorf("when: %s: %w; values: %s", st.When, err, FormatValues(vals)))
			return
		}
		if !ok {
			r.setStep(i, j, StatusSkipped, nil)
			return
		}
	}
	r.setStep(i, j, StatusRunning, nil)
	err := r.tries(ctx, i, j)
	switch {
	case err == nil:
		r.setStep(i, j, StatusPassed, nil)
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errOver):
		r.setStep(i, j, StatusPassed, nil) // a background step ends with the last phase, as a success
	case ctx.Err() != nil:
		r.setStep(i, j, StatusCancelled, nil)
	case st.OnError == ir.OnErrorContinue:
		r.setStep(i, j, StatusTolerated, &stepError{st, err})
	default:
		r.fail(i, j, err)
	}
}

func (r *run) fail(i, j int, err error) {
	err = &stepError{r.Graph.phases[i].steps[j], err}
	r.setStep(i, j, StatusFailed, err)
	r.mu.Lock()
	if r.out.Err == nil {
		r.out.Err = err
	}
	r.mu.Unlock()
	r.cancel(err)
}

// Retry is 3 tries with 1 s between the first two, doubling.
const (
	maxTries   = 3
	firstPause = time.Second
)

func (r *run) tries(ctx context.Context, i, j int) error {
	st := r.Graph.phases[i].steps[j]
	n := 1
	if st.OnError == ir.OnErrorRetry {
		n = maxTries
	}
	pause := firstPause
	var err error
	for try := 1; try <= n; try++ {
		r.mu.Lock()
		r.out.Phases[i].Steps[j].Tries = try
		r.mu.Unlock()
		if err = r.once(ctx, i, j, st); err == nil || ctx.Err() != nil || try == n {
			return err
		}
		if r.Clock.Sleep(ctx, pause) != nil {
			return err
		}
		pause *= 2
	}
	return err
}

// once runs the action, within its timeout.
func (r *run) once(ctx context.Context, i, j int, st *step) error {
	if st.Timeout > 0 {
		var stop func()
		ctx, stop = withTimeout(ctx, r.Clock, st.Timeout.Std())
		defer stop()
	}
	when, what := stepRand(r.Scenario.Seed, st.phase.Name, st.Index)
	env := &Env{
		RunID: r.RunID, Step: st.Step, Rand: what, Clock: r.Clock, Mesh: r.mesh, Writer: r.Writer,
		Proxies: r.Proxies, Changes: r.Changes, Log: r.Log,
		Limits: Limits{MaxPending: r.Scenario.MaxPending, MaxLateness: r.Scenario.MaxLateness},
		Params: r.params, Stages: r.Stages, Services: r.Services, when: when, state: r.state, calls: r.calls, holds: r.holds,
	}
	err := st.action.Run(ctx, env)
	r.holds.releaseAll(env)
	if env.arrivals != nil {
		a := env.arrivals.outcome()
		r.mu.Lock()
		r.out.Phases[i].Steps[j].Arrivals = &a
		r.mu.Unlock()
	}
	if err != nil && ctx.Err() != nil {
		if cause := context.Cause(ctx); errors.As(cause, new(*timeoutError)) && !errors.Is(err, cause) {
			return cause
		}
	}
	return err
}

// timeoutError is the cause of a context whose step ran out of time.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return fmt.Sprintf("timed out after %v", e.after) }

// withTimeout is context.WithTimeoutCause on the run's clock.
func withTimeout(ctx context.Context, clock Clock, d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ch, stop := clock.After(d)
	go func() {
		select {
		case <-ch:
			cancel(&timeoutError{d})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// setPhase and setStep record a status and tell the observer.
func (r *run) setPhase(i int, st Status, err error) {
	r.mu.Lock()
	p := &r.out.Phases[i]
	p.Status = st
	stamp(&p.Started, &p.Ended, st, r.Clock.Now())
	r.observe(Event{Phase: p.Name, Status: st, Err: err})
	r.mu.Unlock()
	r.state.setPhase(p.Name, st)
}

func (r *run) setStep(i, j int, st Status, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.out.Phases[i]
	s := &p.Steps[j]
	s.Status, s.Err = st, err
	stamp(&s.Started, &s.Ended, st, r.Clock.Now())
	r.observe(Event{Phase: p.Name, Step: s.Name, Kind: s.Kind, Status: st, Err: err})
}

func stamp(started, ended *time.Time, st Status, now time.Time) {
	switch {
	case st == StatusRunning:
		*started = now
	case !started.IsZero():
		*ended = now
	}
}

func (r *run) observe(e Event) {
	if r.Observer == nil {
		return
	}
	e.Time = r.Clock.Now()
	r.Observer.Observe(e)
}

// evaluate gives the verdict at moment m.
func (t threshold) evaluate(ctx context.Context, s *state, m *moment) ThresholdOutcome {
	ok, err := t.prog.True(ctx, s.lang.vars(m))
	out := ThresholdOutcome{Name: t.Name, Expr: t.Expr, Pos: t.Pos, Values: values(ctx, t.prog, m)}
	switch {
	case errors.Is(err, expr.ErrNoData):
		out.NoData = true
	case err != nil:
		out.Err = err
	default:
		out.Passed = ok
	}
	return out
}
