package runtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// interruptedRun runs a scenario of a first phase of one second, a second of an hour with a background step, and a third,
// and cancels it by cause after five seconds.
func interruptedRun(t *testing.T, openEnded bool, cause error, threshold string) *runtime.Outcome {
	t.Helper()
	tr := &trace{start: time.Now()}
	s := runtimetest.Scenario(tr.step("a", time.Second, nil), tr.step("b", time.Hour, nil), tr.step("c", 0, nil))
	s.OpenEnded = openEnded
	beside := *s.Phases[1].Steps[0]
	beside.Name, beside.Background, beside.Body = "beside", true, tr.step("beside", time.Hour, nil)
	s.Phases[1].Steps = append([]*ir.Step{&beside}, s.Phases[1].Steps...)
	s.Thresholds = []*ir.Threshold{{Name: "t", Expr: threshold}}
	g, ds := runtime.Compile(t.Context(), s, nil)
	if ds != nil {
		t.Fatal(ds)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(5*time.Second, func() { cancel(cause) })
	return g.Run(ctx, runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{}})
}

// TestOpenEnded: an interrupt ends an open-ended run well, so that its thresholds decide, and any other run not; any other
// cause ends both.
func TestOpenEnded(t *testing.T) {
	broken := errors.New("the sandbox died")
	for name, c := range map[string]struct {
		openEnded   bool
		cause       error
		threshold   string
		exit        runtime.ExitCode
		interrupted bool
		want        map[string]runtime.Status
	}{
		"ended well": {true, runtime.ErrInterrupted, "1 == 1", runtime.ExitPass, false, map[string]runtime.Status{
			"a": runtime.StatusPassed, "beside": runtime.StatusPassed, "b": runtime.StatusPassed, "c": runtime.StatusCancelled}},
		"breached": {true, runtime.ErrInterrupted, "1 == 2", runtime.ExitThreshold, false, map[string]runtime.Status{
			"a": runtime.StatusPassed, "beside": runtime.StatusPassed, "b": runtime.StatusPassed, "c": runtime.StatusCancelled}},
		"not open-ended": {false, runtime.ErrInterrupted, "1 == 1", runtime.ExitInterrupted, true, map[string]runtime.Status{
			"a": runtime.StatusPassed, "beside": runtime.StatusCancelled, "b": runtime.StatusCancelled, "c": runtime.StatusCancelled}},
		"another cause": {true, broken, "1 == 1", runtime.ExitInternal, false, map[string]runtime.Status{
			"a": runtime.StatusPassed, "beside": runtime.StatusCancelled, "b": runtime.StatusCancelled, "c": runtime.StatusCancelled}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := interruptedRun(t, c.openEnded, c.cause, c.threshold)
				if out.Exit != c.exit || out.Interrupted != c.interrupted {
					t.Errorf("exit %d, interrupted %v: %v", out.Exit, out.Interrupted, out.Err)
				}
				if took := out.Ended.Sub(out.Started); took != 5*time.Second {
					t.Errorf("it took %v", took)
				}
				if diff := cmp.Diff(c.want, statuses(out)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestNoWriter: where there is nothing to write to, a step that writes fails as of an unusable target.
func TestNoWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		write := act(func(ctx context.Context, env *runtime.Env) error {
			done := make(chan error, 1)
			err := env.Writer.Submit(ctx, runtime.Op{Verb: runtime.VerbCreate, Done: func(r runtime.Result) { done <- r.Err }})
			if told := <-done; !errors.Is(told, err) {
				t.Errorf("told %v, returned %v", told, err)
			}
			return err
		})
		out := run(t, runtimetest.Scenario(write), func(p *runtime.Parts) { p.Writer = nil })
		if out.Exit != runtime.ExitTarget {
			t.Errorf("exit %d: %v", out.Exit, out.Err)
		}
	})
}
