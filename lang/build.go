package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// maxRepairs bounds how often a file is built again after its unknown names were taken out. One round finds all that CUE
// finds at once; further ones find what those hid.
const maxRepairs = 4

// build evaluates the user's files. A name that does not exist makes CUE refuse a file as a whole, which would hide every
// other mistake, so such names are reported, replaced by an error value, and the files built again.
func (l *load) build() (cue.Value, bool) {
	for _, src := range l.files.main {
		l.checkImports(src)
	}
	for range maxRepairs {
		inst, err := l.instance()
		if err == nil {
			var vs []cue.Value
			if vs, err = l.ctx.BuildInstances([]*build.Instance{inst}); err == nil {
				return vs[0], true
			}
		}
		repaired := true
		for _, e := range errors.Errors(err) {
			repaired = l.repair(e) && repaired
		}
		if !repaired {
			return cue.Value{}, false
		}
	}
	return cue.Value{}, false
}

// repair reports a mistake that keeps the file from being built and takes it out of the syntax tree, or returns false.
func (l *load) repair(e errors.Error) bool {
	pos := e.Position()
	format, args := e.Msg()
	src := l.sourceAt(pos)
	if src == nil {
		l.found.evaluation(l.files, e, "", ir.Pos{}, "")
		return false
	}
	for decl := range src.syntax.ImportDecls() {
		for _, spec := range decl.Specs {
			if spec.Pos() != pos && spec.Path.Pos() != pos {
				continue
			}
			if !l.found.poisoned[place(pos)] {
				l.found.add(importMistake(spec, format))
			}
			l.dropImport(src, spec)
			return true
		}
	}
	if l.found.poisoned[place(pos)] {
		return true // of an import that is taken out already
	}
	switch format {
	case "reference %q not found":
		name := fmt.Sprint(args[0])
		if path := packages[name]; path != "" {
			// One import is missing, however often the package is used.
			l.found.add(ir.Diagnostic{Pos: place(pos), Code: ir.CodeUnknownName, Message: fmt.Sprintf("unknown name %q: its package is not imported; add import %q", name, path)})
			l.poisonName(src.syntax, name)
			return true
		}
		near := l.files.nearName(name)
		if l.misspelled(near, name) {
			break
		}
		d := ir.Diagnostic{Pos: place(pos), Code: ir.CodeUnknownName, Message: fmt.Sprintf("unknown name %q", name), Suggestion: near}
		if field := l.textField(src.syntax, pos); field != nil && near == "" {
			d.Message += fmt.Sprintf("; %q takes a text, which needs quotes", labelName(field))
			l.found.add(d)
			l.poisonField(field)
			return true
		}
		l.found.add(d)
	case "unreferenced alias or let clause %s":
		l.found.add(ir.Diagnostic{Pos: place(pos), Code: ir.CodeEvaluation, Message: fmt.Sprintf("%q is never used", fmt.Sprint(args[0]))})
		return dropLet(src.syntax, pos)
	default:
		l.found.evaluation(l.files, e, "", ir.Pos{}, "")
	}
	return l.poisonAt(src.syntax, pos)
}

// misspelled reports whether a field of the file is a misspelled field of a scenario, whose right name is name. That
// field is reported; those who use its right name are not to blame.
func (l *load) misspelled(field, name string) bool {
	if l.defs == nil {
		return false
	}
	known := l.defs.fields(l.defs.scenario)
	_, wrong := known[field]
	_, right := known[name]
	return right && !wrong && field != "" && !strings.ContainsAny(field[:1], "_#")
}

// packages are those whose import is most easily forgotten, by name.
var packages = map[string]string{
	"schema": schema.ImportPath, "list": "list", "strings": "strings", "strconv": "strconv", "math": "math", "regexp": "regexp", "struct": "struct", "net": "net",
}

func importMistake(spec *ast.ImportSpec, format string) ir.Diagnostic {
	d := ir.Diagnostic{Pos: place(spec.Path.Pos()), Code: ir.CodeImport}
	switch format {
	case "builtin package %q undefined":
		d.Message = fmt.Sprintf("CUE's standard library has no package %s", spec.Path.Value)
		d.Suggestion = ir.Nearest(strings.Trim(spec.Path.Value, `"`), slices.Sorted(maps.Keys(packages)))
	case "imported and not used: %s", "imported and not used: %s as %s":
		d.Message = fmt.Sprintf("%s is imported but not used", spec.Path.Value)
	default:
		d.Message = fmt.Sprintf("cannot import %s", spec.Path.Value)
	}
	return d
}

func (l *load) sourceAt(pos token.Pos) *source {
	if !pos.IsValid() {
		return nil
	}
	return l.files.byName[pos.Filename()]
}

// poisonAt replaces the expression at pos by an error value and marks the place as reported.
func (l *load) poisonAt(f *ast.File, pos token.Pos) (done bool) {
	astutil.Apply(f, func(c astutil.Cursor) bool {
		expr, ok := c.Node().(ast.Expr)
		if done || !ok || expr.Pos() != pos {
			return !done
		}
		if _, ok := expr.(*ast.Ident); !ok {
			return true // a name may start a longer expression: go down to it
		}
		done = l.poison(c, expr)
		return false
	}, nil)
	return done
}

// poisonName does the same to each use of an unresolved name.
func (l *load) poisonName(f *ast.File, name string) {
	astutil.Apply(f, func(c astutil.Cursor) bool {
		switch n := c.Node().(type) {
		case *ast.ImportDecl:
			return false
		case *ast.Ident:
			_, local := n.Node.(*ast.Field)
			if n.Name == name && !local {
				l.poison(c, n)
			}
		}
		return true
	}, nil)
}

// poison replaces an expression, unless it is a label.
func (l *load) poison(c astutil.Cursor, expr ast.Expr) bool {
	switch parent := c.Parent().Node().(type) {
	case *ast.Field:
		if ast.Node(parent.Label) == ast.Node(expr) {
			return false
		}
	case *ast.SelectorExpr:
		if ast.Node(parent.Sel) == ast.Node(expr) {
			return false
		}
	}
	l.found.poison(place(expr.Pos()))
	c.Replace(&ast.BottomLit{Bottom: expr.Pos()})
	return true
}

// dropLet takes the let clause at pos out of the file.
func dropLet(f *ast.File, pos token.Pos) (done bool) {
	astutil.Apply(f, func(c astutil.Cursor) bool {
		if let, ok := c.Node().(*ast.LetClause); ok && (let.Pos() == pos || let.Ident.Pos() == pos) {
			c.Delete()
			done = true
			return false
		}
		return !done
	}, nil)
	return done
}

// nearName is what an unknown name may have been meant for. A parameter is often named without its params.
func (f *files) nearName(name string) string {
	names := f.names()
	if slices.Contains(names, "params."+name) {
		return "params." + name
	}
	return ir.Nearest(name, names)
}

// names are those an expression may have meant: fields, lets and imports of the scenario's files, and params.x for x.
func (f *files) names() []string {
	var names []string
	for _, src := range f.main {
		ast.Walk(src.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ListLit:
				return false
			case *ast.LetClause:
				names = append(names, n.Ident.Name)
			case *ast.Field:
				name := labelName(n)
				names = append(names, name)
				if s, ok := n.Value.(*ast.StructLit); ok && name == "params" {
					for _, d := range s.Elts {
						if p, ok := d.(*ast.Field); ok {
							names = append(names, "params."+labelName(p))
						}
					}
				}
				return false
			}
			return true
		}, nil)
	}
	return names
}
