package report

import (
	"maps"
	"math"
	"time"

	"github.com/plscript/plscript/runtime"
)

// Input is what a report is made of.
type Input struct {
	Info    Info
	Outcome *runtime.Outcome
	Plan    []Planned
	Writes  []Write
	Sync    []SyncCheck
	Oracle  []OracleCheck
	Istiods []Istiod
	Cleanup error // what the cleanup could not remove; it makes the exit code [runtime.ExitCleanup] where nothing is worse
}

// Build makes the report of a finished run.
func Build(in Input) *Report {
	o := in.Outcome
	if o == nil {
		o = &runtime.Outcome{Exit: runtime.ExitInternal}
	}
	r := &Report{
		Schema:   Schema,
		Run:      Run{Info: in.Info, Started: o.Started, Ended: o.Ended, Duration: since(o.Started, o.Ended)},
		Verdict:  verdict(o, in.Cleanup),
		Plan:     list(in.Plan),
		Writes:   list(in.Writes),
		Sync:     list(in.Sync),
		Oracle:   list(in.Oracle),
		Istiods:  list(in.Istiods),
		Readings: finite(o.Readings),
	}
	r.Run.Params, r.Run.Command = list(r.Run.Params), list(r.Run.Command)
	r.Phases, r.Thresholds, r.Stages = []Phase{}, []Threshold{}, []Stage{}
	if o.Arrivals != (runtime.Arrivals{}) {
		r.Arrivals = arrivals(&o.Arrivals)
	}
	for _, s := range o.Stages {
		r.Stages = append(r.Stages, stage(s))
	}
	for i := range o.Phases {
		r.Phases = append(r.Phases, phase(&o.Phases[i]))
	}
	for i := range o.Thresholds {
		r.Thresholds = append(r.Thresholds, threshold(&o.Thresholds[i]))
	}
	return r
}

func phase(p *runtime.PhaseOutcome) Phase {
	out := Phase{Name: p.Name, Status: string(p.Status), Started: p.Started, Duration: since(p.Started, p.Ended), Steps: []Step{}}
	for i := range p.Steps {
		out.Steps = append(out.Steps, step(&p.Steps[i]))
	}
	return out
}

func step(s *runtime.StepOutcome) Step {
	out := Step{
		Name: s.Name, Kind: s.Kind, Path: s.Path, Pos: s.Pos.String(), Background: s.Background,
		Status: string(s.Status), Started: s.Started, Duration: since(s.Started, s.Ended), Tries: s.Tries,
	}
	if s.Err != nil {
		out.Error = at(out.Pos, s.Err.Error())
	}
	if s.Arrivals != nil {
		out.Arrivals = arrivals(s.Arrivals)
	}
	return out
}

func stage(s runtime.StageOutcome) Stage {
	out := Stage{
		Stage: string(s.Stage), Doc: s.Doc, Done: s.Count, Errors: s.Errors, Mean: Seconds(s.Mean),
		Time: Quantile{P50: Seconds(s.P50), P90: Seconds(s.P90), P99: Seconds(s.P99), Max: Seconds(s.Max)},
	}
	if s.LastErr != nil {
		out.LastError = s.LastErr.Error()
	}
	for _, p := range s.Curve {
		out.Curve = append(out.Curve, CurvePoint{p.At, Seconds(p.Took)})
	}
	return out
}

func threshold(t *runtime.ThresholdOutcome) Threshold {
	out := Threshold{
		Name: t.Name, Expr: t.Expr, Pos: t.Pos.String(), Passed: t.Passed, NoData: t.NoData, Aborted: t.Aborted, Values: map[string]string{},
	}
	maps.Copy(out.Values, t.Values)
	if t.Err != nil {
		out.Error = at(out.Pos, t.Err.Error())
	}
	return out
}

func arrivals(a *runtime.Arrivals) *Arrivals {
	return &Arrivals{
		Planned: a.Planned, Started: a.Started, Dropped: a.Dropped,
		Lateness: Quantile{P50: Seconds(a.LatenessP50), P99: Seconds(a.LatenessP99), Max: Seconds(a.LatenessMax)},
	}
}

// list is s as JSON should show it: [] where there is nothing, never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// since is the time from start to end, zero if either is missing.
func since(start, end time.Time) Seconds {
	if start.IsZero() || end.IsZero() {
		return 0
	}
	return Seconds(end.Sub(start))
}

// finite copies the readings in the types that JSON can hold. A value that is not a number is no data, and is left out.
func finite(in runtime.Readings) map[string]any {
	out := make(map[string]any, len(in))
	for path, v := range in {
		switch v := v.(type) {
		case time.Duration:
			out[path] = Seconds(v)
		case float64:
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				out[path] = v
			}
		default:
			out[path] = v
		}
	}
	return out
}
