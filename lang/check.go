package lang

import (
	"fmt"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// checker walks the user's values beside the definitions.
type checker struct {
	*load
	root  cue.Value
	unset bool // a parameter has neither a value nor a default; values that depend on it are not reported too
}

// value checks v, which stands at path, against def. at is where the nearest enclosing value stands.
func (c *checker) value(v, def cue.Value, path string, at ir.Pos) {
	at = c.files.place(v, at)
	if def.IncompleteKind() == cue.TopKind {
		c.free(v, path, at)
		return
	}
	v, _ = v.Default()
	switch shape(v) {
	case cue.BottomKind:
		c.broken(v, path, at)
	case cue.StructKind:
		c.structure(v, def, path, at)
	case cue.ListKind:
		c.list(v, def, path, at)
	default:
		c.scalar(v, def, path, at)
	}
}

// scalar checks a value that is neither a struct nor a list, or is not known yet.
func (c *checker) scalar(v, def cue.Value, path string, at ir.Pos) {
	if !v.IsConcrete() {
		both := v.Unify(def)
		if both.Err() != nil && v.IncompleteKind()&def.IncompleteKind() == 0 {
			c.refused(wrongKind(def.IncompleteKind(), v.IncompleteKind()), path, at)
		} else if d, _ := both.Default(); !d.IsConcrete() {
			c.noValue(v, path, at)
		}
		return
	}
	c.refused(refuse(c.defs.alternatives(def), def, v), path, at)
}

// refused reports d, if any, as the mistake of the value at path.
func (c *checker) refused(d *ir.Diagnostic, path string, at ir.Pos) {
	if d != nil {
		d.Path, d.Pos = path, at
		c.found.add(*d)
	}
}

// noValue reports a value that is still only a type.
func (c *checker) noValue(v cue.Value, path string, at ir.Pos) {
	if c.unset {
		c.found.count++
		c.found.lost++
		return
	}
	if f, ok := v.Source().(*ast.Field); ok {
		if slices.ContainsFunc(f.Attrs, func(a *ast.Attribute) bool { return a.Name() != "tag" && a.Name() != "doc" }) {
			c.found.count++ // the attribute is reported, and was to give the value
			c.found.lost++
			return
		}
		if id, ok := f.Value.(*ast.Ident); ok && id.Name == labelName(f) {
			c.found.add(ir.Diagnostic{Pos: at, Path: path, Code: ir.CodeUnknownName, Suggestion: c.files.nearName(id.Name),
				Message: fmt.Sprintf("%s refers to itself: inside a struct a name means the nearest field of that name", id.Name)})
			return
		}
	}
	c.found.add(ir.Diagnostic{Pos: at, Path: path, Code: ir.CodeNoValue,
		Message: fmt.Sprintf("has no value, only what it may be: %s", show(v))})
}

// broken reports a value that is an error of its own.
func (c *checker) broken(v cue.Value, path string, at ir.Pos) {
	err := v.Err()
	switch {
	case err == nil, c.unset && v.Validate() == nil:
		c.found.count++ // it follows from a mistake somewhere else, which is found there
		c.found.lost++
	default:
		c.found.evaluation(c.files, err, path, at, c.nearField(v))
	}
}

// nearField is what the last name of a selector like params.cuont may have been meant for.
func (c *checker) nearField(v cue.Value) string {
	sel := selector(v.Source())
	if sel == nil {
		return ""
	}
	name, _, err := ast.LabelName(sel.Sel)
	base, isName := sel.X.(*ast.Ident)
	if err != nil || !isName {
		return ""
	}
	names := c.files.importedNames(base.Name)
	for _, m := range members(descend(c.root, []string{base.Name})) {
		names = append(names, m.name)
	}
	return ir.Nearest(name, names)
}

// selector is the expression a.b that a value comes from, possibly unified with more, or nil.
func selector(n ast.Node) *ast.SelectorExpr {
	switch n := n.(type) {
	case *ast.Field:
		return selector(n.Value)
	case *ast.SelectorExpr:
		return n
	case *ast.BinaryExpr:
		if n.Op == token.AND {
			return selector(n.X)
		}
	}
	return nil
}

// list checks the elements of a list.
func (c *checker) list(v, def cue.Value, path string, at ir.Pos) {
	def, ok := c.defs.choose(def, v, cue.ListKind)
	if !ok {
		c.refused(mismatch(c.defs.alternatives(def), def, v, nil), path, at)
		return
	}
	before := c.found.count
	for i, e := range elements(v) {
		if elem, ok := element(def, i); ok {
			c.value(e, elem, index(path, i), at)
		}
	}
	if c.found.count == before {
		if d := tooShort(v, def); d != nil {
			c.refused(d, path, at)
			return
		}
	}
	c.whole(v, path, at, before)
}

// tooShort reports an empty list where the definition wants an element.
func tooShort(v, def cue.Value) *ir.Diagnostic {
	if def.LookupPath(cue.MakePath(cue.Index(0))).Exists() && len(elements(v)) == 0 {
		return &ir.Diagnostic{Code: ir.CodeEmpty, Message: "the list is empty; want at least one element"}
	}
	return nil
}

// whole reports an error of a struct or list as such, unless something inside explains it.
func (c *checker) whole(v cue.Value, path string, at ir.Pos, before int) {
	if c.found.count == before && v.IncompleteKind() == cue.BottomKind {
		c.broken(v, path, at)
	}
}

// structure checks the fields of a struct.
func (c *checker) structure(v, def cue.Value, path string, at ir.Pos) {
	chosen, ok := c.defs.choose(def, v, cue.StructKind)
	if !ok {
		c.refused(mismatch(c.defs.alternatives(def), def, v, nil), path, at)
		return
	}
	if misplaced, with := c.misplaced(v, def, chosen); misplaced != nil {
		for _, m := range misplaced {
			c.found.add(ir.Diagnostic{Pos: c.files.labelPlace(m.value, at), Path: join(path, m.name), Code: ir.CodeRule,
				Message: fmt.Sprintf("%q cannot go with %q", m.name, with)})
		}
		return
	}
	c.fields(v, chosen, path, at, nil)
}

// misplaced lists the fields of v that only another alternative of def has than the chosen one, and a field of the chosen
// one that they stand beside: a ramp with stages is two rates.
func (c *checker) misplaced(v, def, chosen cue.Value) (list []member, with string) {
	known, others := c.defs.fields(chosen), map[string]bool{}
	for _, a := range c.defs.alternatives(def) {
		if a.message == "" && a.value.IncompleteKind()&cue.StructKind != 0 {
			for name := range c.defs.fields(a.value) {
				others[name] = true
			}
		}
	}
	for _, m := range members(v) {
		_, ok := known[m.name]
		switch {
		case ok && with == "":
			with = m.name
		case !ok && others[m.name]:
			list = append(list, m)
		}
	}
	if with == "" {
		return nil, ""
	}
	return list, with
}

// free checks a value whose form is free: it must be free of errors and complete.
func (c *checker) free(v cue.Value, path string, at ir.Pos) {
	v, _ = v.Default()
	before := c.found.count
	switch shape(v) {
	case cue.StructKind:
		if c.templateParams(v, path, at) {
			return
		}
		for _, m := range members(v) {
			c.free(m.value, join(path, m.name), c.files.place(m.value, at))
		}
	case cue.ListKind:
		for i, e := range elements(v) {
			c.free(e, index(path, i), c.files.place(e, at))
		}
	case cue.BottomKind:
		c.broken(v, path, at)
		return
	default:
		if !v.IsConcrete() {
			c.noValue(v, path, at)
		}
		return
	}
	c.whole(v, path, at, before)
}

// unused finds errors in values that no field of the scenario may use: hidden fields and definitions. They may be
// incomplete.
func (c *checker) unused(v cue.Value, path string, at ir.Pos) {
	at = c.files.place(v, at)
	before := c.found.count
	switch shape(v) {
	case cue.StructKind:
		for _, m := range members(v) {
			c.unused(m.value, join(path, m.name), at)
		}
	case cue.ListKind:
		for i, e := range elements(v) {
			c.unused(e, index(path, i), at)
		}
	}
	if c.found.count == before && v.IncompleteKind() == cue.BottomKind && v.Validate() != nil {
		c.broken(v, path, at)
	}
}
