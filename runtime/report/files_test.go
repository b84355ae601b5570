package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
)

// memory is a directory in memory.
type memory map[string]*closing

type closing struct {
	bytes.Buffer
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func (m memory) create(name string) (io.WriteCloser, error) {
	m[name] = &closing{}
	return m[name], nil
}

func TestFileGoldens(t *testing.T) {
	t.Parallel()
	for dir, in := range map[string]Input{"passed": passedInput(), "failed": failedInput()} {
		files := memory{}
		if err := Build(in).WriteFiles(files.create); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{FileJSON, FileJUnit, FileHTML} {
			if !files[name].closed {
				t.Errorf("%s is not closed", name)
			}
			golden(t, dir+"_"+name, files[name].String())
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := Build(failedInput())
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	dec := json.NewDecoder(&b)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(textOf(t, r, TextOptions{}), textOf(t, &back, TextOptions{})); diff != "" {
		t.Errorf("the verdict of the decoded report differs (-original +decoded):\n%s", diff)
	}
}

func TestReadingsThatAreNoNumbersAreNoData(t *testing.T) {
	t.Parallel()
	in := passedInput()
	in.Outcome.Readings = runtime.Readings{"istiod.cpu": math.NaN(), "loadgen.cpu": math.Inf(1), "writer.p99": 1500 * time.Microsecond}
	var b bytes.Buffer
	if err := Build(in).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct{ Readings map[string]any }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"writer.p99": 0.0015}, got.Readings); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
}

func TestEveryFileIsTriedAndEveryErrorTold(t *testing.T) {
	t.Parallel()
	files := memory{}
	full := errors.New("disk full")
	err := Build(passedInput()).WriteFiles(func(name string) (io.WriteCloser, error) {
		if name == FileJSON {
			return nil, full
		}
		return files.create(name)
	})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), FileJSON) {
		t.Errorf("got error %v", err)
	}
	if files[FileJUnit] == nil || files[FileHTML] == nil {
		t.Errorf("wrote only %d files", len(files))
	}
}

func TestJUnitIsNeverGreenForARunThatIsNot(t *testing.T) {
	t.Parallel()
	in := passedInput()
	in.Outcome.Invalid, in.Outcome.Exit = []string{"3 arrivals were dropped"}, runtime.ExitInvalid
	r := Build(in)
	if r.Verdict.Result != ResultInvalid {
		t.Errorf("result %s", r.Verdict.Result)
	}
	var b bytes.Buffer
	if err := r.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Errors != 1 || got.Tests != 4+2+1 || !strings.Contains(b.String(), "3 arrivals were dropped") {
		t.Errorf("JUnit of an invalid run:\n%s", &b)
	}
}

func TestHTMLEscapesAndLoadsNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Build(failedInput()).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<b>ns-1</b>", "http://", "https://", "<script", "<link", "ZgotmplZ", "\x1b"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

// TestEveryFieldIsDocumented keeps docs/report.md true: a field of report.json that it does not name fails here.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/report.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem())
		case reflect.Struct:
			if seen[typ] || typ == reflect.TypeFor[time.Time]() {
				return
			}
			seen[typ] = true
			for i := range typ.NumField() {
				f := typ.Field(i)
				if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !strings.Contains(string(doc), "`"+name+"`") {
					t.Errorf("%s.%s: `%s` is not in docs/report.md", typ.Name(), f.Name, name)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Report]())
}
