package lang

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// vet checks a scenario as `cue vet -c` does: against the closed schema with the assembled definitions.
func vet(t *testing.T, assembled []byte, file, content string) error {
	t.Helper()
	var bctx *build.Context
	bctx = build.NewContext(build.Loader(func(_ token.Pos, path string) *build.Instance {
		if path != schema.ImportPath {
			return nil
		}
		inst := bctx.NewInstance("", nil)
		files, err := schemaFiles(".")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := inst.AddSyntax(f); err != nil {
				t.Fatal(err)
			}
		}
		addFile(t, inst, schema.Generated, string(assembled))
		if err := inst.Complete(); err != nil {
			t.Fatal(err)
		}
		return inst
	}))
	inst := bctx.NewInstance("", nil)
	addFile(t, inst, file, content)
	if err := inst.Complete(); err != nil {
		return err
	}
	return cuecontext.New().BuildInstance(inst).Validate(cue.Concrete(true))
}

func addFile(t *testing.T, inst *build.Instance, name, content string) {
	t.Helper()
	f, err := parser.ParseFile(name, content, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if err := inst.AddSyntax(f); err != nil {
		t.Fatal(err)
	}
}

func TestAssembledSchemaVetsScenarios(t *testing.T) {
	t.Parallel()
	assembled, err := Assemble(testCatalog())
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("testdata/good/imported.cue")
	if err != nil {
		t.Fatal(err)
	}
	if err := vet(t, assembled, "good.cue", string(content)); err != nil {
		t.Errorf("the closed schema refuses a good scenario: %v", err)
	}
	for _, mistake := range []string{`namse: "x"`, `"phases": [{name: "a", steps: [{action: "sleep", for: "1s", rat: 1}]}]`, `seed: "a"`} {
		src := "package x\nimport \"" + schema.ImportPath + "\"\nschema.#Scenario & {\nname: \"x\"\n" + mistake + "\n}\n"
		if err := vet(t, assembled, "bad.cue", src); err == nil {
			t.Errorf("the closed schema accepts %s", mistake)
		}
	}
}

func TestAssembleMergesImports(t *testing.T) {
	t.Parallel()
	cat := catalog{}
	for _, kind := range []string{"one", "two"} {
		cat[kind] = ir.Fragment{Kind: kind, File: kind + ".cue", New: func() any { return new(struct{}) },
			CUE: fmt.Sprintf("import \"strings\"\n\n// Doc.\n#%s: {\n\taction: %q\n\t// A.\n\ta?: strings.MinRunes(2)\n}\n", kind, kind)}
	}
	out, err := Assemble(cat)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), `"strings"`); n != 1 {
		t.Errorf("want one import of strings, got %d:\n%s", n, out)
	}
	if !strings.Contains(string(out), "#Step: #one | #two") || !strings.HasPrefix(string(out), "// Code generated") {
		t.Errorf("got:\n%s", out)
	}
}

func TestAssembleRefusesBrokenFragments(t *testing.T) {
	t.Parallel()
	for _, cue := range []string{"#x: {", "#y: {}", "#x: 3", "#x: {action: nothing}"} {
		cat := catalog{"x": {Kind: "x", File: "x.cue", CUE: cue, New: func() any { return new(struct{}) }}}
		if out, err := Assemble(cat); err == nil {
			t.Errorf("%s: no error, got:\n%s", cue, out)
		}
		if _, ds := Load(Input{FS: os.DirFS("testdata/good"), Path: "bare.cue"}, cat); len(ds) != 1 || ds[0].Code != ir.CodeInternal {
			t.Errorf("%s: loading with it says %v", cue, ds)
		}
	}
}

func TestCheckCatalog(t *testing.T) {
	t.Parallel()
	if errs := CheckCatalog(testCatalog()); len(errs) > 0 {
		t.Error(errs)
	}
	type nested struct {
		X []struct {
			A int `json:"a"`
			B int `json:"b"`
		} `json:"x"`
	}
	for name, test := range map[string]struct{ cue, want string }{
		"action":   {"// D.\n#x: {\n\taction: \"y\"\n\t// X.\n\tx: [...{\n\t// A.\n\ta: 1\n\t// B.\n\tb: 1}]}", `want the field action: "x"`},
		"doc":      {"#x: {\n\taction: \"x\"\n\t// X.\n\tx: [...{\n\t// A.\n\ta: 1\n\t// B.\n\tb: 1}]}", "#x: the definition has no doc comment"},
		"fielddoc": {"// D.\n#x: {\n\taction: \"x\"\n\t// X.\n\tx: [...{\n\t// A.\n\ta: 1\n\tb: 1}]}", "#x.x[0].b: the field has no doc comment"},
		"open":     {"// D.\n#x: {\n\taction: \"x\"\n\t// X.\n\tx: [...{\n\t// A.\n\ta: 1\n\t// B.\n\tb: 1}]\n\t...}", "is open"},
		"dropped":  {"// D.\n#x: {\n\taction: \"x\"\n\t// X.\n\tx: [...{\n\t// A.\n\ta: 1\n\t// B.\n\tb: 1\n\t// C.\n\tc: 1}]}", "#x.x[0].c: the field is not in"},
		"missing":  {"// D.\n#x: {\n\taction: \"x\"\n\t// X.\n\tx: [...{\n\t// A.\n\ta: 1}]}", "#x.x[0].b: struct"},
		"type":     {"// D.\n#x: {\n\taction: \"x\"\n\t// X.\n\tx: int}", "#x.x: decodes into"},
	} {
		errs := CheckCatalog(catalog{"x": {Kind: "x", File: "x.cue", CUE: test.cue, New: func() any { return new(nested) }}})
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), test.want) {
			t.Errorf("%s: want one error with %q, got %v", name, test.want, errs)
		}
	}
}

// Every definition and field of the schema has a doc comment, which is where the reference comes from.
func TestSchemaIsDocumented(t *testing.T) {
	t.Parallel()
	files, err := schemaFiles(".")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		ast.Walk(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if ok && labelName(field) != "" && len(ast.Comments(field)) == 0 {
				t.Errorf("%s: %s has no doc comment", filepath.Base(f.Filename), labelName(field))
			}
			return true
		}, nil)
	}
}
