package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
)

// TestDocumentedScenarios loads, compiles and plans every block of CUE in the documents. A block marked ```cue is a
// scenario, one marked ```cue steps is a list of steps, one marked ```cue fields has fields of a scenario.
func TestDocumentedScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "\n```cue")[1:] {
			mark, source, _ := strings.Cut(block, "\n")
			source, _, _ = strings.Cut(source, "\n```")
			switch strings.TrimSpace(mark) {
			case "":
			case "steps":
				source = inPhase(source)
			case "fields":
				source = inPhase(`{action: "sleep", for: "1s"}`) + source
			default:
				t.Errorf("%s: block %d is marked %q", file, i+1, mark)
			}
			count++
			if err := plannable(t, source); err != nil {
				t.Errorf("%s: block %d:\n%v\n%s", file, i+1, err, source)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d blocks were found", count)
	}
}

// inPhase makes a scenario of steps.
func inPhase(steps string) string {
	return fmt.Sprintf("name: \"x\"\nphases: [\n{name: \"mesh\", steps: [{action: \"createNamespaces\", count: 1, apps: [{name: \"web\", type: \"sidecar\", pods: 2}]}]},\n"+
		"{name: \"a\", steps: [\n%s\n]},\n]\n", steps)
}

func plannable(t *testing.T, source string) error {
	t.Helper()
	s, ds := lang.Load(lang.Input{FS: fstest.MapFS{"doc.cue": {Data: []byte(source)}}, Path: "doc.cue"}, actions.All())
	if len(ds) > 0 {
		return ds
	}
	g, ds := runtime.Compile(t.Context(), s, exampleFiles{})
	if len(ds) > 0 {
		return ds
	}
	if _, ds = g.Plan(t.Context()); len(ds) > 0 {
		return ds
	}
	return nil
}

// exampleFiles are the files beside the examples of actions, which the reference shows.
type exampleFiles struct{}

func (exampleFiles) Open(_, name string) (io.ReadCloser, error) {
	found, err := filepath.Glob(filepath.Join("../../actions/testdata/examples", "*", filepath.Base(name)))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("no example has a file %s: %w", name, os.ErrNotExist)
	}
	return os.Open(found[0])
}
