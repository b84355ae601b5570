package lang

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/lang/ir"
)

// Each case marks with ^ the byte of the file at which "bad" must be found inside of the expression.
func TestPlacesInsideStrings(t *testing.T) {
	t.Parallel()
	for name, literal := range map[string]string{
		"plain":          `"ok && ^bad"`,
		"escapes":        `"\"a\\\n\t\u00fc\U0001F600\/ + 0 + ^bad"`,
		"utf8":           `"'ü😀' == ^bad"`,
		"hashes":         `#"a \n \#n "b" ^bad"#`,
		"multi-line":     "\"\"\"\n\t\tfirst &&\n\t\t  second &&\n\n\t\t^bad ||\n\t\tlast\n\t\t\"\"\"",
		"multi-line one": "\"\"\"\n\t\t^bad\n\t\t\"\"\"",
		"multi-line #":   "#\"\"\"\n\t\t\"\"\" \\(x) \\#t\n\t\t^bad\n\t\t\"\"\"#",
		"crlf":           "\"\"\"\r\n\t\tfirst &&\r\n\t\t^bad\r\n\t\t\"\"\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := "name: \"x\"\nphases: [{name: \"a\", steps: [{action: \"wait\", until: " + literal + "}]}]\n"
			before, _, _ := strings.Cut(src, "^")
			src = strings.Replace(src, "^", "", 1)
			line := strings.Count(before, "\n") + 1
			want := ir.Pos{File: "f.cue", Line: line, Col: len(before) - strings.LastIndex(before, "\n")}

			step := mustLoad(t, src).Phases[0].Steps[0]
			until := step.Body.(*wait).Until
			got := step.Source("until").At(strings.Index(until, "bad"))
			if got != want {
				t.Errorf("%q: bad is at %v, want %v", until, got, want)
			}
		})
	}
}

func TestPlacesOfFields(t *testing.T) {
	t.Parallel()
	step := mustLoad(t, `name: "x"
_cond: "a" + " == b"
_meta: name: "m"
phases: [{name: "a", steps: [{
	action: "apply"
	when:   _cond
	objects: [{kind: "A", "odd.key": "${x}", metadata: _meta, list: ["p", "q"]}]
}]}]
`).Phases[0].Steps[0]
	for path, want := range map[string]string{
		"":                           "f.cue:4:30",
		"when":                       "f.cue:6:10",
		"nothing":                    "f.cue:4:30",
		"objects":                    "f.cue:7:11",
		"objects[0].kind":            "f.cue:7:19",
		"objects[0].list[1]":         "f.cue:7:72",
		`objects[0]["odd.key"]`:      "f.cue:7:35",
		"objects[0].metadata.name":   "f.cue:3:14",
		"objects[0].metadata.absent": "f.cue:7:53",
	} {
		if got := step.Source(path).Pos.String(); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
	// An expression is not a literal, so a place inside of its value is the field's.
	if got := step.Source("when").At(5).String(); got != "f.cue:6:10" {
		t.Errorf("inside when: %s", got)
	}
}

func TestThresholdSource(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, "name: \"x\"\nphases: [{name: \"a\", steps: [{action: \"sleep\", for: \"1s\"}]}]\nthresholds: [{expr: \"a.b == 0\"}]")
	if got := s.Thresholds[0].Source.At(2).String(); got != "f.cue:3:24" {
		t.Errorf("got %s", got)
	}
}

// A byte order mark is no column that an editor shows.
func TestColumnsIgnoreByteOrderMark(t *testing.T) {
	t.Parallel()
	_, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: []byte("\ufeffnam: 1")}}, Path: "f.cue"}, testCatalog())
	if len(ds) == 0 || ds[0].Pos.Col != 1 {
		t.Errorf("got %v", ds)
	}
}
