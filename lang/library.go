package lang

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// A mistake in a parameter of a template, like #port of objects.#Gateway, makes the whole object an error in CUE. It is
// looked for where it was typed.

const libraryDir = internalDir + "schema/objects/"

// templateParams reports the parameters of v, definitions inside of it, that are wrong or that its template does not
// have. It returns false if there are none.
func (c *checker) templateParams(v cue.Value, path string, at ir.Pos) (any bool) {
	params := definitionsOf(v)
	if len(params) == 0 && v.IncompleteKind() != cue.BottomKind {
		return false
	}
	if op, _ := v.Expr(); op != cue.AndOp || !fromLibrary(v) {
		return false
	}
	for _, m := range members(v) {
		if !fromLibrary(m.value) && notAllowed(m.value) {
			any = true
			c.found.add(ir.Diagnostic{Pos: c.files.labelPlace(m.value, at), Path: join(path, m.name), Code: ir.CodeUnknownField,
				Message: fmt.Sprintf("unknown field %q", m.name), Suggestion: ir.Nearest(m.name, templateFields(v))})
		}
	}
	var names []string
	unknown := map[string]cue.Value{}
	for _, param := range params {
		if !fromLibrary(param.value) {
			unknown[param.name] = param.value
			continue
		}
		names = append(names, param.name)
		if param.value.IncompleteKind() == cue.BottomKind {
			any = true
			c.templateParam(param.value, path+"."+param.name, c.files.place(param.value, at))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		any = true
		c.found.add(ir.Diagnostic{Pos: c.files.labelPlace(unknown[name], at), Path: path + "." + name, Code: ir.CodeUnknownField,
			Message: fmt.Sprintf("the template has no parameter %q", name), Suggestion: ir.Nearest(name, names)})
	}
	return any
}

// definitionsOf lists the definitions in a struct, also when some of them are errors.
func definitionsOf(v cue.Value) []member {
	it, err := v.Fields(cue.Definitions(true), cue.Hidden(true))
	if err != nil {
		return nil
	}
	var list []member
	for it.Next() {
		if it.Selector().LabelType() == cue.DefinitionLabel {
			list = append(list, member{it.Selector().String(), it.Value()})
		}
	}
	return list
}

// templateFields are the names of the fields that v has from its template.
func templateFields(v cue.Value) []string {
	var names []string
	for _, m := range members(v) {
		if fromLibrary(m.value) {
			names = append(names, m.name)
		}
	}
	return names
}

// notAllowed reports whether v is in a place that a closed definition does not have.
func notAllowed(v cue.Value) bool {
	return slices.ContainsFunc(errors.Errors(v.Validate()), func(e errors.Error) bool {
		format, _ := e.Msg()
		return format == "field not allowed"
	})
}

// fromLibrary reports whether v, or a part of it, is written in the object library.
func fromLibrary(v cue.Value) bool {
	if strings.HasPrefix(v.Pos().Filename(), libraryDir) {
		return true
	}
	if op, parts := v.Expr(); op == cue.AndOp {
		return slices.ContainsFunc(parts, fromLibrary)
	}
	if _, p := v.ReferencePath(); len(p.Selectors()) > 0 {
		return strings.HasPrefix(cue.Dereference(v).Pos().Filename(), libraryDir)
	}
	return false
}

// templateParam reports a parameter that is an error: what the user gave for it is compared with what the template says.
func (c *checker) templateParam(v cue.Value, path string, at ir.Pos) {
	_, parts := v.Expr()
	for i, part := range parts {
		if !part.IsConcrete() || !c.files.place(part, ir.Pos{}).IsValid() {
			continue
		}
		for j, other := range parts {
			if i == j {
				continue
			}
			if d := refuse(alternatives(other, ""), other, part); d != nil {
				c.refused(d, path, c.files.place(part, at))
				return
			}
		}
	}
	c.broken(v, path, at)
}

// importedNames are what the package has that the scenario imports under the given name: plscript's or one of its module.
func (f *files) importedNames(name string) []string {
	for _, src := range f.main {
		for spec := range src.syntax.ImportSpecs() {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil || importName(spec) != name {
				continue
			}
			dir := ast.ParseImportPath(importPath).Path
			if own, ok := below(f.module, dir); ok {
				return f.namesIn(own)
			}
			if ours, ok := below(schema.ImportPath, dir); ok {
				return schemaNames(ours)
			}
		}
	}
	return nil
}

// schemaNames are the definitions of a package of plscript's schema.
func schemaNames(dir string) []string {
	files, err := schemaFiles(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, file := range files {
		for _, d := range definitionsIn(file) {
			names = append(names, "#"+d.Name)
		}
	}
	return names
}

// namesIn are the fields of a package of the user's own module, whose files have been read when one is missed.
func (f *files) namesIn(dir string) []string {
	var names []string
	for _, src := range f.byName {
		if path.Dir(src.path) != dir || src.syntax == nil {
			continue
		}
		for _, decl := range src.syntax.Decls {
			if field, ok := decl.(*ast.Field); ok {
				names = append(names, labelName(field))
			}
		}
	}
	return names
}
