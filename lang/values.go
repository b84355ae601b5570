package lang

import (
	"fmt"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/plscript/plscript/lang/ir"
)

// member is one field of a user's struct.
type member struct {
	name  string
	value cue.Value
}

// members lists the regular fields of a struct in the order of the file, also when some of them are errors.
func members(v cue.Value) []member {
	// With hidden fields asked for, CUE lists the fields of a struct that is an error itself. Those are left out here.
	if !v.Exists() {
		return nil
	}
	it, err := v.Fields(cue.Hidden(true))
	if err != nil {
		return nil
	}
	var list []member
	for it.Next() {
		if sel := it.Selector(); sel.LabelType() == cue.StringLabel {
			list = append(list, member{sel.Unquoted(), it.Value()})
		}
	}
	return list
}

// elements lists the elements of a list. Value.List fails as a whole when one of them is an error.
func elements(v cue.Value) []cue.Value {
	var list []cue.Value
	for i := 0; v.Exists(); i++ {
		e := v.LookupPath(cue.MakePath(cue.Index(i)))
		if !e.Exists() {
			return list
		}
		list = append(list, e)
	}
	return nil
}

// lookup returns a regular field of a struct.
func lookup(v cue.Value, name string) (cue.Value, bool) {
	f := v.LookupPath(cue.MakePath(cue.Str(name)))
	return f, f.Exists()
}

// shape is the kind of a value: where an error inside of it makes it an error too, the kind that it was written as.
func shape(v cue.Value) cue.Kind {
	if k := v.IncompleteKind(); k != cue.BottomKind {
		return k
	}
	if len(members(v)) > 0 {
		return cue.StructKind
	}
	if v.LookupPath(cue.MakePath(cue.Index(0))).Exists() {
		return cue.ListKind
	}
	return cue.BottomKind
}

// place is where a value was written in the user's files, or at where it was not.
func (f *files) place(v cue.Value, at ir.Pos) ir.Pos {
	switch src := v.Source().(type) {
	case *ast.Field:
		if p := place(src.Value.Pos()); f.owns(p) {
			return p
		}
	case *ast.File, nil:
	default:
		if p := place(src.Pos()); f.owns(p) {
			return p
		}
	}
	// A value of several parts, like a library template and the user's own fields: the first of the user's.
	if op, parts := v.Expr(); op == cue.AndOp {
		for _, part := range parts {
			if p := f.place(part, ir.Pos{}); p.IsValid() {
				return p
			}
		}
	}
	if p := place(v.Pos()); f.owns(p) && v.Source() == nil {
		return p
	}
	return at
}

// labelPlace is where a field's name was written.
func (f *files) labelPlace(v cue.Value, at ir.Pos) ir.Pos {
	if field, ok := v.Source().(*ast.Field); ok {
		if p := place(field.Label.Pos()); f.owns(p) {
			return p
		}
	}
	return f.place(v, at)
}

func (f *files) owns(p ir.Pos) bool { return p.IsValid() && f.byName[p.File] != nil }

// source is where a value was written, down to the bytes inside of it if it is a string literal.
func (f *files) source(v cue.Value, at ir.Pos) ir.Source {
	pos := f.place(v, at)
	expr, _ := v.Source().(ast.Expr)
	if field, ok := v.Source().(*ast.Field); ok {
		expr = field.Value
	}
	lit, ok := expr.(*ast.BasicLit)
	text, err := v.String()
	if !ok || err != nil || place(lit.Pos()) != pos {
		return ir.NewSource(pos, nil)
	}
	return ir.NewSource(pos, locator(f.byName[pos.File].content, lit.Pos().Offset(), pos, text))
}

// sources notes where each field of a step stands, by its path in the step.
func (f *files) sources(v cue.Value, path string, at ir.Pos, into map[string]ir.Source) {
	src := f.source(v, at)
	if path != "" {
		into[path] = src
	}
	switch shape(v) {
	case cue.StructKind:
		for _, m := range members(v) {
			f.sources(m.value, join(path, m.name), src.Pos, into)
		}
	case cue.ListKind:
		for i, e := range elements(v) {
			f.sources(e, index(path, i), src.Pos, into)
		}
	}
}

// join is the path of a field of the struct at path.
func join(path, name string) string {
	switch {
	case !ast.IsValidIdent(name):
		return fmt.Sprintf("%s[%q]", path, name)
	case path == "":
		return name
	}
	return path + "." + name
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
