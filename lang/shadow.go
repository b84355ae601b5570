package lang

import (
	"fmt"
	"slices"
	"strconv"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"

	"github.com/plscript/plscript/lang/ir"
)

// hiddenImports reports imports that a field hides where they are used: in objects: [objects.#Gateway] the name means
// the field. CUE would call the import unused, and the elements errors that depend on themselves.
func (l *load) hiddenImports(src *source) {
	for decl := range src.syntax.ImportDecls() {
		for _, spec := range slices.Clone(decl.Specs) {
			name := importName(spec)
			if name == "" || !l.poisonHidden(src.syntax, name) {
				continue
			}
			l.found.add(ir.Diagnostic{Pos: place(spec.Pos()), Code: ir.CodeImport,
				Message: fmt.Sprintf("inside a field called %q the name %q means that field: import the package under another name, like %s %s",
					name, name, otherName(name), spec.Path.Value)})
			l.dropImport(src, spec)
		}
	}
}

// otherName is a name to import a package under.
func otherName(name string) string {
	if len(name) > 3 {
		return name[:3]
	}
	return name + "Pkg"
}

// importName is what a file calls a package that it imports.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return ast.ParseImportPath(p).Qualifier
}

// poisonHidden poisons the uses of a package's definitions inside of fields that hide its name, and reports whether
// there are any.
func (l *load) poisonHidden(f *ast.File, name string) (any bool) {
	fields := 0 // of that name around the node
	hides := func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		return ok && labelName(field) == name
	}
	astutil.Apply(f, func(c astutil.Cursor) bool {
		if hides(c.Node()) {
			fields++
		}
		sel, ok := c.Node().(*ast.SelectorExpr)
		if !ok || fields == 0 {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		member, _, err := ast.LabelName(sel.Sel)
		if !ok || id.Name != name || err != nil || len(member) == 0 || member[0] != '#' {
			return true
		}
		any = true
		l.found.poison(place(sel.Pos()))
		c.Replace(&ast.BottomLit{Bottom: sel.Pos()})
		return false
	}, func(c astutil.Cursor) bool {
		if hides(c.Node()) {
			fields--
		}
		return true
	})
	return any
}
