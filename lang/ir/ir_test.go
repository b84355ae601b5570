package ir

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"10/s": 10, "1/2s": 0.5, "90/m": 1.5, "0.5/m": 0.5 / 60, "3/500ms": 6, "1e3/s": 1000, " 2/s ": 2, "1/h": 1.0 / 3600, "1/1m30s": 1.0 / 90, "1000000/s": MaxRate,
	} {
		if got, err := ParseRate(text); err != nil || math.Abs(got-want) > 1e-9*want {
			t.Errorf("ParseRate(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"10": "want a count over a time", "": "want a count over a time", "x/s": "the count is not a number", "NaN/s": "not a number",
		"Inf/s": "not a number", "1/": "not a duration", "1/x": "not a duration", "1/0s": "not a duration", "1/-1s": "not a duration",
		"0/s": "above zero", "-1/s": "above zero", "1000001/s": "maximum", "1/1ns": "maximum",
	} {
		if _, err := ParseRate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRate(%q): %v, want %q", text, err, want)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"10/s", "1/2s", "0.5/m", "x", "1/", "/", "1e308/ns", "1/9999999h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseRate(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "invalid rate") {
				t.Errorf("ParseRate(%q): %v", text, err)
			}
			return
		}
		if !(v > 0 && v <= MaxRate) {
			t.Errorf("ParseRate(%q) = %v, which is no rate", text, v)
		}
		if FormatRate(v) == "" {
			t.Errorf("FormatRate(%v) is empty", v)
		}
	})
}

func TestRateForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		`"10/s"`:                                 ConstantRate(10),
		`{"from":"1/s","to":"3/s","over":"10s"}`: {Stages: []Stage{{From: 1, To: 3, Over: 10 * time.Second}}},
		`{"stages":[{"rate":"2/s","over":"5s"},{"from":"2/s","to":"4/s","over":"1m"}]}`: {Stages: []Stage{{From: 2, To: 2, Over: 5 * time.Second}, {From: 2, To: 4, Over: time.Minute}}},
	} {
		var got Rate
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for _, text := range []string{`3`, `"x"`, `{"from":"1/s","to":"3/s"}`, `{"from":"1/s","over":"3s"}`, `{"stages":[{"rate":"0/s","over":"1s"}]}`, `[]`} {
		var got Rate
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: no error, got %v", text, got)
		}
	}
}

func TestRateOverTime(t *testing.T) {
	t.Parallel()
	r := Rate{Stages: []Stage{{From: 0, To: 10, Over: 10 * time.Second}, {From: 10, To: 10, Over: 5 * time.Second}, {From: 10, To: 2, Over: 4 * time.Second}}}
	for at, want := range map[time.Duration]float64{0: 0, 5 * time.Second: 5, 12 * time.Second: 10, 17 * time.Second: 6, time.Hour: 2} {
		if got := r.At(at); math.Abs(got-want) > 1e-9 {
			t.Errorf("At(%v) = %v, want %v", at, got, want)
		}
	}
	// The arrivals of any span are those of its parts, and the integral of At.
	whole := r.Between(0, 30*time.Second)
	if want := 50.0 + 50 + 24 + 11*2; math.Abs(whole-want) > 1e-9 {
		t.Errorf("Between(0, 30s) = %v, want %v", whole, want)
	}
	var parts float64
	for s := range 30 {
		parts += r.Between(time.Duration(s)*time.Second, time.Duration(s+1)*time.Second)
	}
	if math.Abs(parts-whole) > 1e-6 {
		t.Errorf("the parts add up to %v, the whole is %v", parts, whole)
	}
	if got := ConstantRate(3).Between(time.Second, 4*time.Second); got != 9 {
		t.Errorf("constant: %v", got)
	}
	if (Rate{}).At(5) != 0 || (Rate{}).Between(0, time.Hour) != 0 {
		t.Error("the zero rate has arrivals")
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	var d Duration
	if err := json.Unmarshal([]byte(`"1h30m"`), &d); err != nil || d.Std() != 90*time.Minute {
		t.Errorf("got %v, %v", d, err)
	}
	if b, err := json.Marshal(d); err != nil || string(b) != `"1h30m0s"` {
		t.Errorf("got %s, %v", b, err)
	}
	for _, text := range []string{`"10"`, `"-1s"`, `5`, `"1d"`, `""`, `"9999999999h"`} {
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestStepSource(t *testing.T) {
	t.Parallel()
	at := func(line int) Source { return Source{Pos: Pos{"f", line, 1}} }
	s := Step{Pos: Pos{"f", 1, 1}, Sources: map[string]Source{"objects": at(2), "objects[0].spec": at(3), "until": at(4)}}
	for path, line := range map[string]int{"until": 4, "objects[0].spec.hosts[2]": 3, "objects[1].kind": 2, "rate": 1, "": 1} {
		if got := s.Source(path).Pos.Line; got != line {
			t.Errorf("%q: line %d, want %d", path, got, line)
		}
	}
}

var some = Diagnostics{
	{Pos: Pos{"b.cue", 1, 2}, Code: CodeType, Path: "phases[0].steps[0].for", Message: "want a string"},
	{Pos: Pos{"a.cue", 10, 1}, Code: CodeUnknownField, Path: "rat", Message: `unknown field "rat"`, Suggestion: "rate"},
	{Pos: Pos{"a.cue", 2, 5}, Code: CodeSyntax, Message: "missing a comma"},
	{Pos: Pos{"a.cue", 2, 5}, Code: CodeSyntax, Message: "missing a comma"},
}

func TestDiagnosticsSortAndText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := append(Diagnostics(nil), some...).Sort().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := "a.cue:2:5: missing a comma\na.cue:10:1: rat: unknown field \"rat\" (did you mean \"rate\"?)\nb.cue:1:2: phases[0].steps[0].for: want a string\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestMergeLeavesOutWhatIsExplained(t *testing.T) {
	t.Parallel()
	earlier := Diagnostics{{Path: "phases[0].steps[1].rate", Message: "bad"}, {Path: "name", Message: "missing"}}
	later := Diagnostics{
		{Path: "phases[0].steps[1].rate", Message: "no arrivals"}, {Path: "phases[0].steps[1]", Message: "nothing to do"},
		{Path: "phases[0].steps[1].until", Message: "kept"}, {Path: "phases[0].steps[10]", Message: "kept"},
		{Path: "phases[0].steps[1].rates", Message: "kept"}, {Path: "", Message: "kept"},
	}
	got := earlier.Merge(later)
	if len(got) != 6 {
		t.Errorf("got:\n%v", got)
	}
	for _, d := range got {
		if d.Message == "no arrivals" || d.Message == "nothing to do" {
			t.Errorf("not left out: %v", d)
		}
	}
}

func TestDiagnosticsJSON(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := some[1:2].WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got Diagnostics
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil || !cmp.Equal(got, some[1:2]) {
		t.Errorf("%v: %s", err, b.String())
	}
	b.Reset()
	if err := Diagnostics(nil).WriteJSON(&b); err != nil || b.String() != "[]\n" {
		t.Errorf("none: %q, %v", b.String(), err)
	}
}

func TestDiagnosticsWithSource(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.cue": "\ufeffone\r\n\tü rat: 3\r\n\r\n"}
	read := func(name string) ([]byte, error) {
		if content, ok := files[name]; ok {
			return []byte(content), nil
		}
		return nil, errors.New("gone")
	}
	ds := Diagnostics{
		{Pos: Pos{"a.cue", 1, 1}, Message: "first"}, {Pos: Pos{"a.cue", 2, 5}, Message: "second"}, {Pos: Pos{"a.cue", 3, 1}, Message: "empty line"},
		{Pos: Pos{"a.cue", 99, 1}, Message: "past the end"}, {Pos: Pos{"b.cue", 1, 1}, Message: "no file"},
	}
	var b strings.Builder
	if err := ds.WriteSource(&b, read); err != nil {
		t.Fatal(err)
	}
	want := "a.cue:1:1: first\n  one\n  ^\n" +
		"a.cue:2:5: second\n  \tü rat: 3\n  \t  ^\n" +
		"a.cue:3:1: empty line\na.cue:99:1: past the end\nb.cue:1:1: no file\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestDiagnosticsWriteErrors(t *testing.T) {
	t.Parallel()
	if some.WriteText(failing{}) == nil || some.WriteJSON(failing{}) == nil || some.WriteSource(failing{}, func(string) ([]byte, error) { return nil, nil }) == nil {
		t.Error("a failed write is no error")
	}
}
