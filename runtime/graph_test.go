package runtime_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// act is an action made of a func.
type act func(ctx context.Context, env *runtime.Env) error

func (act) Plan(context.Context, *runtime.Planner) error      { return nil }
func (a act) Run(ctx context.Context, env *runtime.Env) error { return a(ctx, env) }

// trace records what ran, with the virtual second it started in.
type trace struct {
	mu    sync.Mutex
	start time.Time
	log   []string
}

func (tr *trace) step(name string, takes time.Duration, err error) act {
	return func(ctx context.Context, env *runtime.Env) error {
		tr.mu.Lock()
		tr.log = append(tr.log, name+"@"+env.Clock.Now().Sub(tr.start).String())
		tr.mu.Unlock()
		if e := env.Clock.Sleep(ctx, takes); e != nil {
			return e
		}
		return err
	}
}

func run(t *testing.T, s *ir.Scenario, change func(*runtime.Parts)) *runtime.Outcome {
	t.Helper()
	g, ds := runtime.Compile(t.Context(), s, nil)
	if ds != nil {
		t.Fatal(ds)
	}
	sig := &runtime.Signal{}
	p := runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: &runtimetest.Proxies{}, Signal: sig}
	if change != nil {
		change(&p)
	}
	return g.Run(t.Context(), p)
}

func statuses(out *runtime.Outcome) map[string]runtime.Status {
	m := map[string]runtime.Status{}
	for _, p := range out.Phases {
		for _, s := range p.Steps {
			m[s.Name] = s.Status
		}
	}
	return m
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trace{start: time.Now()}
		s := runtimetest.Scenario(tr.step("a", time.Second, nil), tr.step("b", time.Second, nil), tr.step("c", 3*time.Second, nil), tr.step("d", 0, nil))
		s.Phases[2].After = nil                // c starts at once
		s.Phases[3].After = []string{"b", "c"} // d joins
		out := run(t, s, nil)
		if out.Exit != runtime.ExitPass || out.Err != nil {
			t.Fatalf("exit %d: %v", out.Exit, out.Err)
		}
		want := map[string]bool{"a@0s": true, "c@0s": true, "b@1s": true, "d@3s": true}
		for _, l := range tr.log {
			if !want[l] {
				t.Errorf("unexpected %s in %v", l, tr.log)
			}
			delete(want, l)
		}
		if len(want) > 0 {
			t.Errorf("missing %v in %v", want, tr.log)
		}
	})
}

func TestFailureCancelsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trace{start: time.Now()}
		s := runtimetest.Scenario(tr.step("a", time.Second, errors.New("boom")), tr.step("b", 0, nil), tr.step("c", time.Hour, nil))
		s.Phases[2].After = nil
		out := run(t, s, nil)
		want := map[string]runtime.Status{"a": runtime.StatusFailed, "b": runtime.StatusCancelled, "c": runtime.StatusCancelled}
		if diff := cmp.Diff(want, statuses(out)); diff != "" {
			t.Error(diff)
		}
		if out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "test.cue:1:1: phases[0].steps[0]: a: boom") {
			t.Errorf("exit %d: %v", out.Exit, out.Err)
		}
		if got := time.Since(tr.start); got != time.Second {
			t.Errorf("ended after %v", got)
		}
	})
}

func TestOnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		flaky := act(func(context.Context, *runtime.Env) error {
			if n++; n < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		fails := act(func(context.Context, *runtime.Env) error { return errors.New("never") })
		s := runtimetest.Scenario(flaky, fails, act(func(context.Context, *runtime.Env) error { return nil }))
		s.Phases[0].Steps[0].OnError = ir.OnErrorRetry
		s.Phases[1].Steps[0].OnError = ir.OnErrorContinue
		start := time.Now()
		out := run(t, s, nil)
		want := map[string]runtime.Status{"a": runtime.StatusPassed, "b": runtime.StatusTolerated, "c": runtime.StatusPassed}
		if diff := cmp.Diff(want, statuses(out)); diff != "" {
			t.Error(diff)
		}
		if out.Exit != runtime.ExitPass || n != 3 || time.Since(start) != 3*time.Second {
			t.Errorf("exit %d after %d tries and %v", out.Exit, n, time.Since(start))
		}
	})
}

func TestBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trace{start: time.Now()}
		s := runtimetest.Scenario(tr.step("a", time.Hour, nil), tr.step("b", 2*time.Second, nil))
		s.Phases[0].Steps[0].Background = true
		out := run(t, s, nil)
		if out.Exit != runtime.ExitPass || statuses(out)["a"] != runtime.StatusPassed || time.Since(tr.start) != 2*time.Second {
			t.Errorf("exit %d, %v after %v", out.Exit, statuses(out), time.Since(tr.start))
		}

		s = runtimetest.Scenario(tr.step("a", time.Second, errors.New("boom")), tr.step("b", time.Hour, nil))
		s.Phases[0].Steps[0].Background = true
		if out := run(t, s, nil); out.Exit != runtime.ExitAction {
			t.Errorf("a background failure exits %d", out.Exit)
		}
	})
}

func TestWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := ""
		mark := func(n string) act {
			return func(context.Context, *runtime.Env) error { ran += n; return nil }
		}
		meter := &runtimetest.Meter{}
		meter.Set("xds.open", int64(2))
		s := runtimetest.Scenario(mark("a"), mark("b"), mark("c"))
		s.Phases[0].Steps[0].When = "xds.open == 2 && phase('a') == 'running'"
		s.Phases[1].Steps[0].When = "xds.open == 3"
		s.Phases[2].Steps[0].When = "xds.nacks == 0"
		out := run(t, s, func(p *runtime.Parts) { p.Meters = []runtime.Meter{meter} })
		want := map[string]runtime.Status{"a": runtime.StatusPassed, "b": runtime.StatusSkipped, "c": runtime.StatusFailed}
		if diff := cmp.Diff(want, statuses(out)); diff != "" || ran != "a" {
			t.Errorf("ran %q: %s", ran, diff)
		}
		if !strings.Contains(out.Err.Error(), "no data; values: xds.nacks = no data") {
			t.Error(out.Err)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runtimetest.Scenario(act(func(ctx context.Context, env *runtime.Env) error {
			return env.Clock.Sleep(ctx, time.Hour)
		}))
		s.Phases[0].Steps[0].Timeout = ir.Duration(5 * time.Second)
		out := run(t, s, nil)
		if out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "timed out after 5s") {
			t.Errorf("exit %d: %v", out.Exit, out.Err)
		}
	})
}

func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runtimetest.Scenario(act(func(ctx context.Context, env *runtime.Env) error {
			return env.Clock.Sleep(ctx, time.Hour)
		}))
		g, _ := runtime.Compile(t.Context(), s, nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(runtime.ErrInterrupted) })
		out := g.Run(ctx, runtime.Parts{Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Signal: &runtime.Signal{}})
		if out.Exit != runtime.ExitInterrupted || !out.Interrupted || statuses(out)["a"] != runtime.StatusCancelled {
			t.Errorf("exit %d, %v, %v", out.Exit, out.Err, statuses(out))
		}
	})
}

func TestThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meter := &runtimetest.Meter{}
		meter.Set("xds.disconnects", int64(0))
		nothing := act(func(ctx context.Context, env *runtime.Env) error { return env.Clock.Sleep(ctx, time.Second/2) })
		judge := func(body act, ts ...*ir.Threshold) *runtime.Outcome {
			s := runtimetest.Scenario(body)
			s.Thresholds = ts
			return run(t, s, func(p *runtime.Parts) { p.Meters = []runtime.Meter{meter} })
		}
		if out := judge(nothing, &ir.Threshold{Name: "ok", Expr: "xds.disconnects == 0"}); out.Exit != runtime.ExitPass || !out.Thresholds[0].Passed {
			t.Errorf("%+v", out.Thresholds)
		}
		if out := judge(nothing, &ir.Threshold{Name: "none", Expr: "changes.endpoint.p99 < duration('1s')"}); out.Exit != runtime.ExitThreshold || !out.Thresholds[0].NoData {
			t.Errorf("no data: exit %d %+v", out.Exit, out.Thresholds)
		}
		if out := judge(nothing, &ir.Threshold{Name: "no", Expr: "xds.disconnects > 0"}); out.Exit != runtime.ExitThreshold || out.Thresholds[0].Values["xds.disconnects"] != "0" {
			t.Errorf("false: exit %d %+v", out.Exit, out.Thresholds)
		}
		time.AfterFunc(90*time.Second, func() { meter.Set("xds.disconnects", int64(1)) })
		start := time.Now()
		hour := act(func(ctx context.Context, env *runtime.Env) error { return env.Clock.Sleep(ctx, time.Hour) })
		out := judge(hour, &ir.Threshold{Name: "abort", Expr: "xds.disconnects == 0", Abort: true},
			&ir.Threshold{Name: "pending", Expr: "changes.endpoint.count > 0", Abort: true})
		if out.Exit != runtime.ExitThreshold || !out.Thresholds[0].Aborted || time.Since(start) > 92*time.Second {
			t.Errorf("abort: exit %d after %v: %v %+v", out.Exit, time.Since(start), out.Err, out.Thresholds)
		}
	})
}

func TestExitPrecedence(t *testing.T) {
	t.Parallel()
	order := []runtime.ExitCode{130, 1, 3, 4, 6, 5, 7}
	for i := range order {
		if got := runtime.WorstExit(order[i:]...); got != order[i] {
			t.Errorf("%v = %d", order[i:], got)
		}
	}
}
