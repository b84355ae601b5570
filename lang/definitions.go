package lang

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// internalDir is put before the schema's file names, so that none can be taken for a file of the user's.
const internalDir = "plscript:"

// definitions are the parts of the language that the user's values are checked against.
type definitions struct {
	scenario, phase, threshold, anyStep, size cue.Value
	actions                                   map[string]cue.Value // by kind

	// A definition is looked at for each step that uses it. cue.Value is comparable, and the same for the same definition
	// where it comes from here.
	known   map[cue.Value]map[string]field
	choices map[cue.Value][]alternative
}

// compile builds the schema and the catalog's fragments.
func compile(ctx *cue.Context, cat ir.Catalog) (*definitions, error) {
	inst := build.NewContext().NewInstance("", nil)
	inst.ImportPath = schema.ImportPath
	files, err := schemaFiles(".")
	if err != nil {
		return nil, err
	}
	for _, kind := range cat.Kinds() {
		frag, ok := cat.Lookup(kind)
		if !ok {
			return nil, fmt.Errorf("the catalog lists %s and does not have it", kind)
		}
		f, err := fragmentFile(frag)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	for _, f := range append(files, stepFile(cat.Kinds())) {
		if err := inst.AddSyntax(f); err != nil {
			return nil, fmt.Errorf("add %s: %w", f.Filename, err)
		}
	}
	if err := inst.Complete(); err != nil {
		return nil, fmt.Errorf("resolve the schema: %w", err)
	}
	vs, err := ctx.BuildInstances([]*build.Instance{inst})
	if err != nil {
		return nil, fmt.Errorf("build the schema: %w", err)
	}
	return lookupDefinitions(vs[0], cat.Kinds())
}

func lookupDefinitions(root cue.Value, kinds []string) (*definitions, error) {
	var err error
	def := func(name string) cue.Value {
		v := root.LookupPath(cue.MakePath(cue.Def(name)))
		if !v.Exists() && err == nil {
			err = fmt.Errorf("there is no definition #%s", name)
		} else if e := v.Err(); e != nil && err == nil {
			err = fmt.Errorf("definition #%s: %w", name, e)
		}
		return v
	}
	d := &definitions{
		scenario: def("Scenario"), phase: def("Phase"), threshold: def("Threshold"), anyStep: def("AnyStep"), size: def("Size"),
		actions: make(map[string]cue.Value, len(kinds)),
		known:   map[cue.Value]map[string]field{},
		choices: map[cue.Value][]alternative{},
	}
	for _, kind := range kinds {
		d.actions[kind] = def(kind)
	}
	return d, err
}

// schemaFiles parses the hand-written schema files in a folder of the schema.
func schemaFiles(dir string) ([]*ast.File, error) {
	entries, err := fs.ReadDir(schema.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	var files []*ast.File
	for _, e := range entries {
		if e.IsDir() || e.Name() == schema.Generated || !isCUE(e.Name()) {
			continue
		}
		name := path.Join(dir, e.Name())
		content, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			return nil, fmt.Errorf("read the schema: %w", err)
		}
		f, err := parser.ParseFile(internalDir+"schema/"+name, content, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse the schema: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

// fragmentFile parses an action's fragment and embeds the common fields of steps in its definition.
func fragmentFile(frag ir.Fragment) (*ast.File, error) {
	f, err := parser.ParseFile(internalDir+frag.File, frag.CUE, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", frag.File, err)
	}
	var def *ast.StructLit
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok && labelName(field) == "#"+frag.Kind {
			def, _ = field.Value.(*ast.StructLit)
		}
	}
	if def == nil {
		return nil, fmt.Errorf("%s: want a definition #%s: {...}", frag.File, frag.Kind)
	}
	common := &ast.EmbedDecl{Expr: ast.NewIdent("_stepCommon")}
	def.Elts = append([]ast.Decl{common}, def.Elts...)
	f.Decls = append([]ast.Decl{&ast.Package{Name: ast.NewIdent("schema")}}, f.Decls...)
	return f, nil
}

// stepFile defines #Step as any of the actions.
func stepFile(kinds []string) *ast.File {
	alternatives := make([]ast.Expr, len(kinds))
	for i, kind := range kinds {
		alternatives[i] = ast.NewIdent("#" + kind)
	}
	step := &ast.Field{Label: ast.NewIdent("#Step"), Value: ast.NewIdent("_")}
	if len(alternatives) > 0 {
		step.Value = ast.NewBinExpr(orToken, alternatives...)
	}
	return &ast.File{
		Filename: internalDir + "schema/" + schema.Generated,
		Decls:    []ast.Decl{&ast.Package{Name: ast.NewIdent("schema")}, step},
	}
}

// schema is the instance that a user's `import ".../schema"` gets, nil if there is none in dir.
func (im *imports) schema(dir string) *build.Instance {
	files, err := schemaFiles(dir)
	if err != nil || len(files) == 0 {
		return nil
	}
	if dir == "." {
		files = twin(files, im.load.cat)
	}
	inst := im.context.NewInstance("", nil)
	inst.ImportPath = path.Join(schema.ImportPath, dir)
	for _, f := range files {
		if err := inst.AddSyntax(f); err != nil {
			return nil
		}
	}
	if err := inst.Complete(); err != nil {
		return nil
	}
	return inst
}

// checked are the definitions that the walk checks itself, and which are therefore open in the twin.
var checked = map[string]bool{"#Scenario": true, "#Phase": true, "#Step": true, "#AnyStep": true, "#Threshold": true}

// twin is the schema with its structural definitions replaced by open structs. Unified with the real ones, the user's
// values would get the schema's positions, and one mistake would keep CUE from listing any phase or step.
func twin(files []*ast.File, cat ir.Catalog) []*ast.File {
	for _, f := range files {
		for _, d := range f.Decls {
			if field, ok := d.(*ast.Field); ok && checked[labelName(field)] {
				field.Value = ast.NewStruct(&ast.Ellipsis{})
			}
		}
	}
	actions := &ast.File{
		Filename: internalDir + "schema/" + schema.Generated,
		Decls:    []ast.Decl{&ast.Package{Name: ast.NewIdent("schema")}, openDefinition("#Step")},
	}
	for _, kind := range cat.Kinds() {
		action := &ast.Field{Label: ast.NewIdent("action"), Value: ast.NewString(kind)}
		actions.Decls = append(actions.Decls, openDefinition("#"+kind, action))
		frag, _ := cat.Lookup(kind)
		actions.Decls = append(actions.Decls, openHelpers(frag)...)
	}
	return append(files, actions)
}

// openHelpers are the further definitions of a fragment, which accept anything in the twin.
func openHelpers(frag ir.Fragment) []ast.Decl {
	f, err := parser.ParseFile(frag.File, frag.CUE)
	if err != nil {
		return nil // compile reports it
	}
	var open []ast.Decl
	for _, d := range f.Decls {
		name := ""
		if field, ok := d.(*ast.Field); ok {
			name = labelName(field)
		}
		if strings.HasPrefix(name, "#"+frag.Kind) && name != "#"+frag.Kind {
			open = append(open, &ast.Field{Label: ast.NewIdent(name), Value: ast.NewIdent("_")})
		}
	}
	return open
}

func openDefinition(name string, fields ...any) *ast.Field {
	return &ast.Field{Label: ast.NewIdent(name), Value: ast.NewStruct(append(fields, &ast.Ellipsis{})...)}
}
