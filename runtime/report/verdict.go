package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plscript/plscript/runtime"
)

// Result is the verdict in one word.
type Result string

// The results.
const (
	ResultPass        Result = "PASS"
	ResultFail        Result = "FAIL"        // an action failed, a threshold was breached, or the cleanup left something
	ResultInvalid     Result = "INVALID"     // plscript could not keep up, so that the figures mean nothing
	ResultInterrupted Result = "INTERRUPTED" // ended by a signal
	ResultError       Result = "ERROR"       // the run says nothing about istiod: plscript or the target is at fault
)

func resultOf(exit runtime.ExitCode) Result {
	switch exit {
	case runtime.ExitPass:
		return ResultPass
	case runtime.ExitInvalid:
		return ResultInvalid
	case runtime.ExitInterrupted:
		return ResultInterrupted
	case runtime.ExitAction, runtime.ExitThreshold, runtime.ExitCleanup:
		return ResultFail
	}
	return ResultError
}

// verdict sums up o and the cleanup after it. The reasons stand in the order in which exit codes win.
func verdict(o *runtime.Outcome, cleanup error) Verdict {
	exit := o.Exit
	reasons := []string{}
	if o.Interrupted {
		reasons = append(reasons, "interrupted by a signal")
	}
	reasons = append(reasons, failures(o)...)
	reasons = append(reasons, o.Invalid...)
	for i := range o.Thresholds {
		if t := &o.Thresholds[i]; !t.Passed {
			reasons = append(reasons, breach(t))
		}
	}
	if cleanup != nil {
		exit = runtime.WorstExit(exit, runtime.ExitCleanup)
		reasons = append(reasons, "cleanup: "+cleanup.Error())
	}
	return Verdict{Result: resultOf(exit), Exit: int(exit), Reasons: reasons}
}

// Fail adds err, an error of plscript's own such as a report that could not be written, to the verdict: a run whose
// record is incomplete is no pass.
func (r *Report) Fail(err error) {
	exit := runtime.WorstExit(runtime.ExitCode(r.Verdict.Exit), runtime.ExitInternal)
	r.Verdict = Verdict{Result: resultOf(exit), Exit: int(exit), Reasons: append([]string{err.Error()}, r.Verdict.Reasons...)}
}

// failures are the error that ended the run and the failures of other steps that it does not mention.
func failures(o *runtime.Outcome) []string {
	var out []string
	if o.Err != nil {
		out = append(out, o.Err.Error())
	}
	for _, p := range o.Phases {
		for _, s := range p.Steps {
			if s.Status != runtime.StatusFailed || s.Err == nil {
				continue
			}
			if o.Err == nil || !strings.Contains(o.Err.Error(), s.Err.Error()) {
				out = append(out, at(s.Pos.String(), s.Err.Error()))
			}
		}
	}
	return out
}

// breach says in one line why a threshold did not pass.
func breach(t *runtime.ThresholdOutcome) string {
	msg := fmt.Sprintf("threshold %q", t.Name)
	switch {
	case t.Err != nil:
		msg += " could not be evaluated: " + t.Err.Error()
	case t.NoData:
		msg += " has no data, which is a breach: " + t.Expr
	default:
		msg += " was breached: " + t.Expr
	}
	if vs := valueList(t.Values); len(vs) > 0 {
		msg += " with " + strings.Join(vs, ", ")
	}
	if t.Aborted {
		msg += "; it stopped the run"
	}
	return at(t.Pos.String(), msg)
}

// valueList prints measures and values as "xds.open = 3", sorted.
func valueList(values map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(values)) {
		out = append(out, k+" = "+values[k])
	}
	return out
}

// at puts a position before a message that does not name it yet.
func at(pos, msg string) string {
	if pos == "" || strings.Contains(msg, pos) {
		return msg
	}
	return pos + ": " + msg
}
