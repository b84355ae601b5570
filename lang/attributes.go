package lang

import (
	"fmt"

	"cuelang.org/go/cue/ast"

	"github.com/plscript/plscript/lang/ir"
)

// attributes reports the attributes that a scenario may not have. CUE fails on some of them without a position, and
// ignores the rest.
func (f *files) attributes(syntax *ast.File) {
	inside := 0 // lists and comprehensions around the node
	ast.Walk(syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ListLit, *ast.Comprehension:
			inside++
		case *ast.Attribute:
			f.attribute(n, inside > 0)
		}
		return true
	}, func(n ast.Node) {
		switch n.(type) {
		case *ast.ListLit, *ast.Comprehension:
			inside--
		}
	})
}

func (f *files) attribute(a *ast.Attribute, nested bool) {
	d := ir.Diagnostic{Pos: place(a.Pos()), Code: ir.CodeAttribute}
	switch name := a.Name(); {
	case name == "tag" && nested:
		d.Message = "@tag cannot stand inside a list or a comprehension: mark a field of params and use that"
	case name == "tag", name == "doc":
		return
	case name == "embed", name == "extern", name == "if", name == "ignore", name == "experiment":
		d.Message = fmt.Sprintf("@%s is not available in a scenario", name)
	default:
		d.Message = fmt.Sprintf("unknown attribute @%s: a scenario may use @tag", name)
		d.Suggestion = ir.Nearest(name, []string{"tag"})
	}
	f.found.add(d)
}
