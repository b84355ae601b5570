package lang

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// expectation is one `// ERROR 33 "regexp"` comment: the line must have a diagnostic, at that column if one is given,
// whose path and message match.
type expectation struct {
	line, col int
	pattern   *regexp.Regexp
	met       bool
}

var (
	expectComment = regexp.MustCompile(`// ERROR (.*)$`)
	expectItem    = regexp.MustCompile("(?:(\\d+) )?(\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`)")
	paramsComment = regexp.MustCompile(`(?m)^// params: (.*)$`)
)

func expectations(t *testing.T, content string) []*expectation {
	var list []*expectation
	for i, line := range strings.Split(content, "\n") {
		comment := expectComment.FindStringSubmatch(strings.TrimSuffix(line, "\r"))
		if comment == nil {
			continue
		}
		for _, m := range expectItem.FindAllStringSubmatch(comment[1], -1) {
			text, err := strconv.Unquote(m[2])
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			col, _ := strconv.Atoi(m[1])
			list = append(list, &expectation{line: i + 1, col: col, pattern: regexp.MustCompile(text)})
		}
	}
	return list
}

// paramsOf reads `// params: name=value name=value`.
func paramsOf(content string) map[string]string {
	params := map[string]string{}
	if m := paramsComment.FindStringSubmatch(content); m != nil {
		for pair := range strings.FieldsSeq(m[1]) {
			name, value, _ := strings.Cut(pair, "=")
			params[name] = value
		}
	}
	return params
}

// jargon is what no user should have to read.
var jargon = regexp.MustCompile(`mismatched types|empty disjunction|_stepCommon|conflicting values|incomplete value|#Scenario|#Phase|plscript:|non-concrete`)

func checkDiagnostics(t *testing.T, name, content string, ds ir.Diagnostics) {
	t.Helper()
	want := expectations(t, content)
next:
	for _, d := range ds {
		if d.Pos.File != name || !d.Pos.IsValid() {
			t.Errorf("diagnostic has no place in the user's file: %+v", d)
		}
		if d.Code == "" {
			t.Errorf("diagnostic has no code: %v", d)
		}
		if jargon.MatchString(d.Error()) {
			t.Errorf("diagnostic uses words of CUE's: %v", d)
		}
		text := strings.TrimPrefix(d.Error(), d.Pos.String()+": ")
		for _, e := range want {
			if !e.met && e.line == d.Pos.Line && (e.col == 0 || e.col == d.Pos.Col) && e.pattern.MatchString(text) {
				e.met = true
				continue next
			}
		}
		t.Errorf("unexpected: %v", d)
	}
	for _, e := range want {
		if !e.met {
			t.Errorf("%s:%d: no diagnostic matches %q", name, e.line, e.pattern)
		}
	}
}

// ownCatalog marks a file for which the actions' fields are those of [testCatalog].
var ownCatalog = regexp.MustCompile(`(?m)^// catalog: test$`)

// beside opens the files that the actions' examples name, which lie beside them.
type beside struct{}

func (beside) Open(_, name string) (io.ReadCloser, error) {
	found, err := filepath.Glob(filepath.Join("../actions/testdata/examples/*", filepath.Base(name)))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return os.Open(found[0])
}

// validate finds all that is wrong with a file, as the command does, with the actions that there really are.
func validate(ctx context.Context, name string, content []byte) ir.Diagnostics {
	in := Input{FS: fstest.MapFS{"f.cue": {Data: content}}, Path: "f.cue", Name: name, Params: paramsOf(string(content))}
	if ownCatalog.Match(content) {
		_, ds := Load(in, testCatalog())
		return ds
	}
	s, ds := Load(in, actions.All())
	if s == nil {
		return ds
	}
	g, more := runtime.Compile(ctx, s, beside{})
	if ds = ds.Merge(more); len(ds) > 0 {
		return ds
	}
	_, ds = g.Plan(ctx)
	return ds
}

// reached are the fields through which the corpus reaches each kind of mistake.
type reached struct {
	mu     sync.Mutex
	files  int // looked at
	fields map[ir.Code]map[string]bool
}

func (r *reached) note(t *testing.T, file string, ds ir.Diagnostics) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files++
	for _, d := range ds {
		if r.fields[d.Code] == nil {
			t.Errorf("unlisted code: %v", d)
			continue
		}
		field := d.Path
		if field == "" {
			field = file // a mistake that is in no field: each file has another one
		}
		r.fields[d.Code][field] = true
	}
}

// codes lists the kinds of mistakes that a file can have. Defects of plscript's own are none: a file that reached one
// would be a bug to fix (see TestWatchTurnsAPanicIntoADiagnostic).
func codes(t *testing.T) map[ir.Code]map[string]bool {
	t.Helper()
	source, err := os.ReadFile("ir/code.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[ir.Code]map[string]bool{}
	for _, m := range regexp.MustCompile(`Code = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		if c := ir.Code(m[1]); c != ir.CodeInternal {
			codes[c] = map[string]bool{}
		}
	}
	return codes
}

// TestBadScenarios finds in each file of the corpus what its comments say and nothing else. Every kind of mistake is in
// the corpus, through at least three different fields.
func TestBadScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.cue")
	if err != nil || len(files) < 150 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	found := reached{fields: codes(t)}
	t.Cleanup(func() {
		for code, in := range found.fields {
			if len(in) < 3 && found.files == len(files) { // else -run picked some
				t.Errorf("%q is reached through %d fields: %v", code, len(in), in)
			}
		}
	})
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".cue"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := "scenarios/" + filepath.Base(file)
			ds := validate(t.Context(), name, content)
			if len(ds) == 0 {
				t.Error("no diagnostics")
			}
			checkDiagnostics(t, name, string(content), ds)
			found.note(t, file, ds)
		})
	}
}

func TestGoodScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/good/*.cue")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".cue"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: content}}, Path: "f.cue", Params: paramsOf(string(content))}, testCatalog())
			if len(ds) > 0 {
				t.Fatal(ds)
			}
			if err := complete(s); err != nil {
				t.Error(err)
			}
		})
	}
}

// complete reports what a scenario without mistakes must have.
func complete(s *ir.Scenario) error {
	if s.Name == "" || len(s.Phases) == 0 || s.MaxPending == 0 || s.MaxLateness == 0 || s.Sandbox.Istiod.Replicas == 0 {
		return fmt.Errorf("the scenario lacks fields or defaults: %+v", s)
	}
	for _, p := range s.Phases {
		if p.Name == "" || len(p.Steps) == 0 || p.After == nil {
			return fmt.Errorf("phase lacks fields: %+v", p)
		}
		for i, st := range p.Steps {
			if st.Body == nil || st.Kind == "" || st.Name == "" || st.OnError == "" || st.Index != i || !st.Pos.IsValid() {
				return fmt.Errorf("step lacks fields: %+v", st)
			}
		}
	}
	return nil
}
