package lang

import (
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/schema"
)

// vetVendored checks a scenario as `cue vet -c` does in a module that holds the editor's schema.
func vetVendored(t *testing.T, content string) error {
	t.Helper()
	files, err := EditorSchema(actions.All())
	if err != nil {
		t.Fatal(err)
	}
	var bctx *build.Context
	bctx = build.NewContext(build.Loader(func(_ token.Pos, path string) *build.Instance {
		dir, ok := below(schema.ImportPath, path)
		if !ok {
			return nil
		}
		inst := bctx.NewInstance("", nil)
		inst.ImportPath = path
		for name, text := range files {
			if parent, _, _ := strings.Cut(name, "/"); (dir == "." && parent == name) || parent == dir {
				addFile(t, inst, name, string(text))
			}
		}
		if err := inst.Complete(); err != nil {
			t.Fatal(err)
		}
		return inst
	}))
	inst := bctx.NewInstance("", nil)
	addFile(t, inst, "f.cue", content)
	if err := inst.Complete(); err != nil {
		return err
	}
	return cuecontext.New().BuildInstance(inst).Validate(cue.Concrete(true))
}

// Every example with an import passes `cue vet -c` with the schema that plscript init writes.
func TestEditorSchemaAcceptsExamples(t *testing.T) {
	t.Parallel()
	vetted := 0
	for _, kind := range actions.All().Kinds() {
		examples, err := actions.Examples(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range examples {
			if !strings.Contains(e.Text, "schema.#Scenario") {
				continue // a bare file has no schema to CUE
			}
			vetted++
			if err := vetVendored(t, e.Text); err != nil {
				t.Errorf("%s/%s: %v", kind, e.Name, err)
			}
		}
	}
	if vetted < 2 {
		t.Errorf("%d examples import the schema", vetted)
	}
}

// A parameter with a default may be used in any field that has another one.
func TestEditorSchemaHasNoDefaults(t *testing.T) {
	t.Parallel()
	const scenario = `package x

import "github.com/plscript/plscript/schema"

schema.#Scenario & {
	name: "x"
	params: {
		timeout: *"1m" | schema.#Duration @tag(timeout)
		seed:    *3 | int @tag(seed, type=int)
		pods:    *3 | int & >0 @tag(pods, type=int)
		order:   *"oldFirst" | "newFirst" @tag(order)
	}
	seed: params.seed
	phases: [{name: "a", steps: [
		{action: "wait", until: "true", timeout: params.timeout},
		{action: "createNamespaces", count: 1, apps: [{name: "x", pods: params.pods}]},
		{action: "churnPods", rate: "1/s", duration: "1s", order: params.order},
	]}]
}
`
	if err := vetVendored(t, scenario); err != nil {
		t.Error(err)
	}
	for _, mistake := range [][2]string{{"seed: params", "sed: params"}, {"until:", "untilx:"}, {`"1m" |`, `"1" |`}, {"pods: params", "pots: params"}} {
		if err := vetVendored(t, strings.Replace(scenario, mistake[0], mistake[1], 1)); err == nil {
			t.Errorf("%s for %s is accepted", mistake[1], mistake[0])
		}
	}
}
