package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime"
)

// roundTrip is a report as it is read back from its file: numbers have lost their types.
func roundTrip(t *testing.T, r *Report) *Report {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	out, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compared compares the sample run with one whose readings and outcome change has touched.
func compared(t *testing.T, opt CompareOptions, change func(*Input)) *Comparison {
	t.Helper()
	next := passedInput()
	next.Info.ID = "9zzz0a"
	if change != nil {
		change(&next)
	}
	return Compare(roundTrip(t, Build(passedInput())), roundTrip(t, Build(next)), opt)
}

func measure(t *testing.T, c *Comparison, path string) MeasureChange {
	t.Helper()
	for _, m := range c.Measures {
		if m.Path == path {
			return m
		}
	}
	t.Fatalf("%s is not compared", path)
	return MeasureChange{}
}

func TestCompareMeasures(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, path string
		value      any
		want       Change
		failed     bool
	}{
		{"the same", "changes.endpoint.p99", 312 * time.Millisecond, ChangeSame, false},
		{"within noise", "changes.endpoint.p99", 312*time.Millisecond + 900*time.Microsecond, ChangeSame, false},
		{"slower within the limit", "changes.endpoint.p99", 340 * time.Millisecond, ChangeWorse, false},
		{"slower", "changes.endpoint.p99", 350 * time.Millisecond, ChangeWorse, true},
		{"faster", "changes.endpoint.p99", 100 * time.Millisecond, ChangeBetter, false},
		{"from nothing", "xds.nacks", int64(1), ChangeWorse, true},
		{"more CPU", "istiod.cpu", 20.0, ChangeWorse, true},
		{"CPU within noise", "istiod.cpu", 12.40, ChangeSame, false},
		{"more pods are no worse", "pods.ready", int64(500), ChangeDiffer, false},
		{"refused by admission", "xds.rejected", int64(90), ChangeDiffer, false},
		{"no data", "changes.endpoint.p99", nil, ChangeGone, true},
		{"no data of what has no direction", "pods.ready", nil, ChangeGone, false},
		{"new", "probe.xds.p99", time.Second, ChangeNew, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := compared(t, CompareOptions{FailAbove: 0.1}, func(in *Input) {
				if tc.value == nil {
					delete(in.Outcome.Readings, tc.path)
				} else {
					in.Outcome.Readings[tc.path] = tc.value
				}
			})
			m := measure(t, c, tc.path)
			if m.Change != tc.want || m.Failed != tc.failed || (c.Exit() == runtime.ExitThreshold) != tc.failed {
				t.Errorf("%+v, exit %d, want %s, failed %v", m, c.Exit(), tc.want, tc.failed)
			}
		})
	}
}

// TestCompareExit: what makes a comparison fail besides measures, and what does not.
func TestCompareExit(t *testing.T) {
	t.Parallel()
	slower := func(in *Input) { in.Outcome.Readings["changes.endpoint.p99"] = time.Minute }
	breach := func(in *Input) {
		in.Outcome.Thresholds[0].Passed, in.Outcome.Exit = false, runtime.ExitThreshold
	}
	for _, tc := range []struct {
		name   string
		opt    CompareOptions
		change func(*Input)
		want   runtime.ExitCode
	}{
		{"alike", CompareOptions{FailAbove: 0}, nil, runtime.ExitPass},
		{"slower without a limit", CompareOptions{FailAbove: -1}, slower, runtime.ExitPass},
		{"slower", CompareOptions{FailAbove: 1}, slower, runtime.ExitThreshold},
		{"slower elsewhere", CompareOptions{FailAbove: 1, Only: []string{"istiod.*"}}, slower, runtime.ExitPass},
		{"slower here", CompareOptions{FailAbove: 1, Only: []string{"istiod.*", "changes.*.p99"}}, slower, runtime.ExitThreshold},
		{"a threshold", CompareOptions{FailAbove: -1}, breach, runtime.ExitThreshold},
		{"an action", CompareOptions{FailAbove: -1}, func(in *Input) {
			in.Outcome.Exit, in.Outcome.Err = runtime.ExitAction, errors.New("boom")
		}, runtime.ExitThreshold},
		{"invalid", CompareOptions{FailAbove: 1}, func(in *Input) {
			slower(in)
			in.Outcome.Exit, in.Outcome.Invalid = runtime.ExitInvalid, []string{"late"}
		}, runtime.ExitInvalid},
		{"interrupted", CompareOptions{FailAbove: -1}, func(in *Input) {
			in.Outcome.Exit, in.Outcome.Interrupted = runtime.ExitInterrupted, true
		}, runtime.ExitInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := compared(t, tc.opt, tc.change)
			if c.Exit() != tc.want {
				t.Errorf("exit %d, want %d: %q %q", c.Exit(), tc.want, c.Unusable, c.Worse)
			}
			if tc.want == runtime.ExitThreshold && len(c.Worse) != 1 {
				t.Errorf("worse %q, want one reason", c.Worse)
			}
		})
	}
	// A threshold that was breached before is no news.
	both := passedInput()
	breach(&both)
	r := roundTrip(t, Build(both))
	if c := Compare(r, r, CompareOptions{FailAbove: 0}); c.Exit() != runtime.ExitPass {
		t.Errorf("exit %d: %q", c.Exit(), c.Worse)
	}
}

func TestCompareNotes(t *testing.T) {
	t.Parallel()
	c := compared(t, CompareOptions{FailAbove: -1}, func(in *Input) {
		in.Info.Seed, in.Info.IstiodVersion = 43, "1.32.0"
		in.Info.Params = []Param{{"rate", "9/s"}, {"extra", "1"}}
	})
	want := []string{
		"seed: 42, and now 43", "parameter extra: none, and now 1", "parameter namespaces: 10, and now none", "parameter rate: 5/s, and now 9/s",
		"istiod: 1.31.0, and now 1.32.0",
	}
	if strings.Join(c.Notes, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", c.Notes)
	}
}

func TestCompareText(t *testing.T) {
	t.Parallel()
	c := compared(t, CompareOptions{FailAbove: 0.1}, func(in *Input) {
		in.Info.Seed = 43
		in.Outcome.Readings["changes.endpoint.p99"] = 2 * time.Second
		in.Outcome.Readings["changes.endpoint.p50"] = 80 * time.Millisecond
		in.Outcome.Readings["xds.disconnects"] = int64(3)
		delete(in.Outcome.Readings, "changes.endpoint.p90")
		in.Outcome.Thresholds[0].Passed, in.Outcome.Exit = false, runtime.ExitThreshold
		in.Outcome.Thresholds[1].Name = "nobody\x1b[31m left"
	})
	for _, opt := range []struct {
		file string
		TextOptions
		all bool
	}{{"compare.txt", TextOptions{}, false}, {"compare_all_narrow.txt", TextOptions{Width: 60, Color: true}, true}} {
		var b strings.Builder
		if err := c.WriteText(&b, opt.TextOptions, opt.all); err != nil {
			t.Fatal(err)
		}
		golden(t, opt.file, b.String())
	}
	var b bytes.Buffer
	if err := c.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var out comparisonJSON
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out.Exit != 5 || len(out.Worse) != len(c.Worse) || len(out.Measures) != len(c.Measures) {
		t.Errorf("%v\n%s", err, &b)
	}
}

// TestReadRefuses: what is no report must not be compared as if it were one with nothing in it.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	var whole bytes.Buffer
	if err := Build(passedInput()).WriteJSON(&whole); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "not JSON": "junit", "another document": `{"kind": "Pod"}`, "another schema": strings.Replace(whole.String(), Schema, "plscript.dev/report/v9", 1),
		"half": whole.String()[:whole.Len()/2], "two": whole.String() + whole.String(), "hollow": `{"schema": "` + Schema + `"}`, "a list": "[]",
		"other types": strings.Replace(whole.String(), `"seed": 42`, `"seed": "x"`, 1),
	} {
		if _, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s is read as a report", name)
		}
	}
}
