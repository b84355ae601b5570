package actions_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
)

// TestExamples loads, compiles and plans the examples of each action, of which there are at least two, and each of
// which uses it.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, kind := range actions.All().Kinds() {
		examples, err := actions.Examples(kind)
		if err != nil || len(examples) < 2 {
			t.Errorf("%s has %d examples, want two at least: %v", kind, len(examples), err)
		}
		for _, e := range examples {
			t.Run(kind+"/"+e.Name, func(t *testing.T) {
				t.Parallel()
				s, ds := lang.Load(lang.Input{FS: fstest.MapFS{e.Name: {Data: []byte(e.Text)}}, Path: e.Name}, actions.All())
				if len(ds) > 0 {
					t.Fatal(ds)
				}
				g, ds := runtime.Compile(t.Context(), s, beside{kind})
				if len(ds) > 0 {
					t.Fatal(ds)
				}
				plan, ds := g.Plan(t.Context())
				if len(ds) > 0 {
					t.Fatal(ds)
				}
				var used []string
				for _, p := range plan.Phases {
					for _, st := range p.Steps {
						used = append(used, st.Kind)
					}
				}
				if !slices.Contains(used, kind) {
					t.Errorf("uses %q", used)
				}
			})
		}
	}
}

// beside opens the files beside the examples of an action.
type beside struct{ kind string }

func (b beside) Open(_, name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join("testdata", "examples", b.kind, name))
}
