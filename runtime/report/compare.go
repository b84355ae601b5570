package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/plscript/plscript/runtime"
)

// maxReport bounds a report that is read, in bytes: one of a large run takes some hundred KB.
const maxReport = 256 << 20

// Read reads a report.json.
func Read(r io.Reader) (*Report, error) {
	limited := &io.LimitedReader{R: r, N: maxReport}
	d := json.NewDecoder(limited)
	out := &Report{}
	err := d.Decode(out)
	switch {
	case err != nil && limited.N == 0:
		return nil, fmt.Errorf("larger than %d MB", maxReport>>20)
	case err != nil:
		return nil, fmt.Errorf("no report: %w", err)
	case out.Schema != Schema:
		return nil, fmt.Errorf("the schema is %q, not %q", out.Schema, Schema)
	case out.Run.ID == "" || out.Verdict.Result == "" || out.Readings == nil:
		return nil, fmt.Errorf("no report: it has no run, verdict or readings")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("no report: something follows it")
	}
	return out, nil
}

// CompareOptions says what counts as worse.
type CompareOptions struct {
	// FailAbove is how much worse a measure may get, as a share: 0.1 is 10 %. Negative: no measure fails the comparison.
	FailAbove float64
	// Only are patterns of measures ("changes.*"), of which one has to match for a measure to be compared; none is all.
	Only []string
}

// Comparison is how two runs differ.
type Comparison struct {
	Base, New  *Report
	Notes      []string // why the runs may not be alike: another scenario, seed or parameter
	Thresholds []ThresholdChange
	Measures   []MeasureChange
	// Unusable says why the figures of one run mean nothing; empty if they do.
	Unusable []string
	// Worse says why the new run is worse; empty if it is not.
	Worse []string
}

// ThresholdChange is a threshold in two runs; nil where a run has none of the name.
type ThresholdChange struct {
	Name      string
	Base, New *Threshold
}

// Change is how a measure moved.
type Change string

// The changes. Only measures of which more is worse get worse or better; others differ.
const (
	ChangeSame   Change = "same" // or too little to tell from noise
	ChangeBetter Change = "better"
	ChangeWorse  Change = "worse"
	ChangeDiffer Change = "differs"
	ChangeGone   Change = "no data" // the new run has none
	ChangeNew    Change = "new"     // the base had none
)

// MeasureChange is a measure in two runs. Durations are in seconds.
type MeasureChange struct {
	Path      string
	Type      runtime.MeasureType
	Base, New float64
	Ratio     float64 // New / Base; +Inf from zero
	Change    Change
	Failed    bool // worse by more than is allowed
}

// Compare compares a run with an earlier one.
func Compare(base, next *Report, opt CompareOptions) *Comparison {
	c := &Comparison{Base: base, New: next, Notes: unlike(base, next)}
	for _, r := range []struct {
		which string
		*Report
	}{{"base", base}, {"new", next}} {
		switch r.Verdict.Result {
		case ResultPass, ResultFail:
		default:
			c.Unusable = append(c.Unusable, fmt.Sprintf("the %s run is %s: %s", r.which, r.Verdict.Result, strings.Join(r.Verdict.Reasons, "; ")))
		}
	}
	c.compareThresholds()
	c.compareMeasures(opt)
	if len(c.Worse) == 0 && base.Verdict.Result == ResultPass && next.Verdict.Result == ResultFail {
		c.Worse = append(c.Worse, "the run fails now: "+strings.Join(next.Verdict.Reasons, "; "))
	}
	return c
}

// Exit is the exit code of the comparison.
func (c *Comparison) Exit() runtime.ExitCode {
	switch {
	case len(c.Unusable) > 0:
		return runtime.ExitInvalid
	case len(c.Worse) > 0:
		return runtime.ExitThreshold
	}
	return runtime.ExitPass
}

// unlike lists what makes two runs different experiments.
func unlike(base, next *Report) []string {
	var out []string
	note := func(what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %s, and now %s", what, a, b))
		}
	}
	note("scenario", base.Run.Scenario, next.Run.Scenario)
	note("seed", fmt.Sprint(base.Run.Seed), fmt.Sprint(next.Run.Seed))
	params := map[string][2]string{}
	for _, p := range base.Run.Params {
		params[p.Name] = [2]string{p.Value, "none"}
	}
	for _, p := range next.Run.Params {
		was, ok := params[p.Name]
		if !ok {
			was[0] = "none"
		}
		params[p.Name] = [2]string{was[0], p.Value}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		note("parameter "+name, params[name][0], params[name][1])
	}
	note("istiod", base.Run.IstiodVersion, next.Run.IstiodVersion)
	note("plscript", base.Run.Version, next.Run.Version)
	return out
}

// compareThresholds lists those of both runs, in the new run's order. One that holds no more is a failure.
func (c *Comparison) compareThresholds() {
	was := map[string]*Threshold{}
	for i := range c.Base.Thresholds {
		was[c.Base.Thresholds[i].Name] = &c.Base.Thresholds[i]
	}
	for i := range c.New.Thresholds {
		t := &c.New.Thresholds[i]
		b := was[t.Name]
		delete(was, t.Name)
		c.Thresholds = append(c.Thresholds, ThresholdChange{t.Name, b, t})
		if !t.Passed && (b == nil || b.Passed) {
			c.Worse = append(c.Worse, fmt.Sprintf("threshold %q does not hold any more", t.Name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		c.Thresholds = append(c.Thresholds, ThresholdChange{name, was[name], nil})
	}
}

func (c *Comparison) compareMeasures(opt CompareOptions) {
	declared := map[string]runtime.MeasureType{}
	for _, m := range runtime.Measures() {
		declared[m.Path] = m.Type
	}
	all := maps.Clone(c.Base.Readings)
	maps.Copy(all, c.New.Readings)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		typ, ok := declared[p]
		if !ok || !selected(opt.Only, p) {
			continue // of another version of plscript: what it means is not known
		}
		m := compareMeasure(c.Base, c.New, p, typ)
		if opt.FailAbove >= 0 && (m.Change == ChangeWorse && m.Ratio > 1+opt.FailAbove || m.Change == ChangeGone && lessIsBetter(p, typ)) {
			m.Failed = true
			c.Worse = append(c.Worse, m.reason())
		}
		c.Measures = append(c.Measures, m)
	}
}

// Selects reports whether a pattern of [CompareOptions] is well-formed.
func Selects(pattern string) bool {
	_, err := path.Match(pattern, "")
	return err == nil && pattern != ""
}

func selected(only []string, p string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(pattern string) bool {
		ok, err := path.Match(pattern, p)
		return ok && err == nil
	})
}

func compareMeasure(base, next *Report, p string, typ runtime.MeasureType) MeasureChange {
	m := MeasureChange{Path: p, Type: typ}
	var had, has bool
	m.Base, had = base.number(p)
	m.New, has = next.number(p)
	m.Ratio = m.New / m.Base
	if m.Base == m.New {
		m.Ratio = 1 // 0 of 0, too
	}
	switch {
	case !had:
		m.Change, m.Ratio = ChangeNew, math.NaN()
	case !has:
		m.Change, m.Ratio = ChangeGone, math.NaN()
	case math.Abs(m.New-m.Base) <= noise(p, typ):
		m.Change = ChangeSame
	case !lessIsBetter(p, typ):
		m.Change = ChangeDiffer
	case m.New > m.Base:
		m.Change = ChangeWorse
	default:
		m.Change = ChangeBetter
	}
	return m
}
