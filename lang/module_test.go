package lang

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plscript/plscript/lang/ir"
)

// module makes a file system of a txtar archive.
func module(archive string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return fsys
}

const twoFiles = `
-- cue.mod/module.cue --
module: "example.com/load@v0"
language: version: "v0.17.0"
-- scenarios/main.cue --
package mesh

import (
	"example.com/load/lib/apps"
	"github.com/plscript/plscript/schema"
)

schema.#Scenario & {
	name:   "mesh"
	params: count: *3 | int @tag(count, type=int)
	phases: [{name: "a", steps: [{action: "createNamespaces", count: params.count, "apps": [apps.web, _extra]}]}]
}
-- scenarios/more.cue --
package mesh

_extra: {name: "extra", pods: 2}
thresholds: [{expr: "xds.nacks == 0"}]
-- scenarios/other.cue --
package mesh

name:   "other"
phases: []
-- scenarios/unrelated.cue --
package unrelated

a: nonsense
-- lib/apps/apps.cue --
package apps

import "strings"

web: {name: strings.ToLower("WEB"), pods: _pods}
-- lib/apps/pods.cue --
package apps

_pods: 7
`

func TestFilesOfOnePackageAndModule(t *testing.T) {
	t.Parallel()
	s, ds := Load(Input{FS: module(twoFiles), Path: "scenarios/main.cue", Name: "main.cue", Params: map[string]string{"count": "4"}}, testCatalog())
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	body := s.Phases[0].Steps[0].Body.(*createNamespaces)
	want := []namespacesApp{{Name: "web", Type: "plain", Replicas: 1, Pods: 7}, {Name: "extra", Type: "plain", Replicas: 1, Pods: 2}}
	if diff := cmp.Diff(want, body.Apps); diff != "" || body.Count != 4 {
		t.Errorf("count %d, apps: %s", body.Count, diff)
	}
	if len(s.Thresholds) != 1 {
		t.Errorf("the second file's threshold is missing: %v", s.Thresholds)
	}
	// The place of a value from another file is that file, named as seen from the user.
	if got := s.Phases[0].Steps[0].Source("apps[1].pods").Pos.String(); got != "more.cue:3:31" {
		t.Errorf("apps[1].pods is at %s", got)
	}
	if got := s.Phases[0].Steps[0].Source("apps[0].pods").Pos.String(); got != "../lib/apps/apps.cue:5:43" {
		t.Errorf("apps[0].pods is at %s", got)
	}
}

func TestMistakesInOtherFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		old, new string
		want     []string
	}{
		"value":   {"pods: 2", "pods: -2", []string{`more.cue:3:31: phases[0].steps[0].apps[1].pods: must be at least 0, got -2`}},
		"missing": {"[apps.web, ", "[apps.wbe, ", []string{`main.cue:11:90: phases[0].steps[0].apps[0]: there is no field "wbe" (did you mean "web"?)`}},
		"syntax":  {"_pods: 7", "_pods: = 7", []string{`../lib/apps/pods.cue:3:8: expected a value, found '='`}},
		"sibling": {"_extra: {", "_extra: {{", []string{`more.cue:4:40: expected '}', found the end of the file`}},
		"gone":    {`load/lib/apps"`, `load/lib/app:apps"`, []string{`main.cue:4:2: there is no package "example.com/load/lib/app:apps" in this module: lib/app has no CUE files of package apps`}},
		"foreign": {`import "strings"`, "import \"strings\"\nimport \"example.org/x\"", []string{`../lib/apps/apps.cue:4:8: cannot import "example.org/x": a scenario may import CUE's standard library, "github.com/plscript/plscript/schema" and packages of its own module "example.com/load"`}},
		"cycle":   {"_pods: 7", "import \"example.com/load/lib/apps\"\n_pods: apps.web.pods", []string{`packages import each other: example.com/load/lib/apps -> example.com/load/lib/apps`}},
		"name":    {"_pods: 7", "_pods: sevn", []string{`../lib/apps/pods.cue:3:8: unknown name "sevn"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(twoFiles, test.old) {
				t.Fatalf("the module has no %q", test.old)
			}
			fsys := module(strings.Replace(twoFiles, test.old, test.new, 1))
			_, ds := Load(Input{FS: fsys, Path: "scenarios/main.cue", Name: "main.cue"}, testCatalog())
			if len(ds) != len(test.want) {
				t.Errorf("want %d diagnostics, got:\n%v", len(test.want), ds)
			}
			for _, want := range test.want {
				if !strings.Contains(ds.Error(), want) {
					t.Errorf("no diagnostic says %q, got:\n%v", want, ds)
				}
			}
		})
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	fsys := module(twoFiles + `
-- scenarios/sub/bare.cue --
name: "bare"
phases: []
-- scenarios/sub/broken.cue --
name: {
-- scenarios/sub/_hidden.cue --
phases: []
-- scenarios/testdata/x.cue --
phases: []
-- scenarios/embedded.cue --
package e
import s "github.com/plscript/plscript/schema"
s.#Scenario & {name: "x"}
-- scenarios/notes.txt --
phases: []
`)
	got, err := Scenarios(fsys, "scenarios")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"scenarios/embedded.cue", "scenarios/main.cue", "scenarios/other.cue", "scenarios/sub/bare.cue", "scenarios/sub/broken.cue"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := Scenarios(fsys, "scenarios/testdata"); err != nil || len(got) != 1 {
		t.Errorf("a folder that is asked for: %v, %v", got, err)
	}
	if _, err := Scenarios(fsys, "nowhere"); err == nil {
		t.Error("a folder that does not exist is no error")
	}
}

func TestParamsListing(t *testing.T) {
	t.Parallel()
	src := `
name: "x"
params: {
	// How many.
	// And more.
	count: *10 | int & >0 @tag(count, type=int)
	on:    bool           @tag(on, type=bool)
	_size: *1.5 | number  @tag(size, type=number)
}
phases: [{name: "a", steps: [{action: "no such action"}]}]`
	got, ds := Params(Input{FS: fstest.MapFS{"f.cue": {Data: []byte(src)}}, Path: "f.cue"})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	want := []ir.Param{
		{Name: "count", Doc: "How many.\nAnd more.", Type: "int", Default: "10", Value: "10", Pos: ir.Pos{File: "f.cue", Line: 6, Col: 9}},
		{Name: "on", Type: "bool", Pos: ir.Pos{File: "f.cue", Line: 7, Col: 9}},
		{Name: "size", Type: "number", Default: "1.5", Value: "1.5", Pos: ir.Pos{File: "f.cue", Line: 8, Col: 9}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
