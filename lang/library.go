package lang

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// A mistake in a parameter of a template, like #port of objects.#Gateway, makes the whole object an error in CUE. It is
// looked for where it was typed.

const libraryDir = internalDir + "schema/objects/"

// templateParams reports the parameters of v, definitions inside of it, that are wrong or that its template does not
// have. It returns false if there are none.
func (c *checker) templateParams(v cue.Value, path string, at ir.Pos) (any bool) {
	if op, _ := v.Expr(); op != cue.AndOp || !fromLibrary(v) {
		return false
	}
	it, err := v.Fields(cue.Definitions(true), cue.Hidden(true))
	if err != nil {
		return false
	}
	var names []string
	unknown := map[string]cue.Value{}
	for it.Next() {
		if it.Selector().LabelType() != cue.DefinitionLabel {
			continue
		}
		param, name := it.Value(), it.Selector().String()
		if !fromLibrary(param) {
			unknown[name] = param
			continue
		}
		names = append(names, name)
		if param.IncompleteKind() == cue.BottomKind {
			any = true
			c.templateParam(param, path+"."+name, c.files.place(param, at))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		any = true
		c.found.add(ir.Diagnostic{Pos: c.files.labelPlace(unknown[name], at), Path: path + "." + name, Code: ir.CodeUnknownField,
			Message: fmt.Sprintf("the template has no parameter %q", name), Suggestion: suggest(name, names)})
	}
	return any
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

// importedNames are the definitions of a package of the schema that the scenario imports under the given name.
func (f *files) importedNames(name string) []string {
	for _, src := range f.main {
		for spec := range src.syntax.ImportSpecs() {
			importPath, err := strconv.Unquote(spec.Path.Value)
			dir, ours := below(schema.ImportPath, ast.ParseImportPath(importPath).Path)
			if err != nil || !ours || importName(spec) != name {
				continue
			}
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
	}
	return nil
}
