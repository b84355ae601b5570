package lang

import (
	"fmt"

	"cuelang.org/go/cue"

	"github.com/plscript/plscript/lang/ir"
)

// sizes decodes the scenario's matrix. Its parameters are checked as those of -t are.
func (c *checker) sizes(root cue.Value, params []param) []ir.Size {
	matrix, ok := lookup(root, "matrix")
	if !ok {
		return nil
	}
	var sizes []ir.Size
	named := map[string]ir.Pos{}
	for i, v := range elements(matrix) {
		path := index("matrix", i)
		at := c.files.place(v, c.found.fallback)
		size := ir.Size{Params: map[string]string{}}
		c.decode(v, c.defs.size, &size, path, c.sourceIn(v, at))
		if name, ok := lookup(v, "size"); ok && size.Name != "" {
			pos := c.files.place(name, at)
			if first, twice := named[size.Name]; twice {
				c.found.add(ir.Diagnostic{Pos: pos, Path: join(path, "size"), Code: ir.CodeDuplicate,
					Message: fmt.Sprintf("there is already a size %q, at line %d", size.Name, first.Line)})
			} else {
				named[size.Name] = pos
			}
		}
		if values, ok := lookup(v, "params"); ok {
			for _, m := range members(values) {
				c.sizeParam(m, join(join(path, "params"), m.name), c.files.place(m.value, at), params)
				size.Params[m.name] = text(m.value)
			}
		}
		sizes = append(sizes, size)
	}
	return sizes
}

// sizeParam checks one parameter of a size.
func (c *checker) sizeParam(m member, path string, at ir.Pos, params []param) {
	if c.found.explains(path) {
		return
	}
	var names []string
	known := false
	for _, p := range params {
		names = append(names, p.name)
		if p.name != m.name {
			continue
		}
		known = true
		lit, d := c.literal(p, text(m.value))
		if d == nil {
			d = refuse(alternatives(p.value, ""), p.value, c.ctx.BuildExpr(lit))
		}
		if d != nil {
			d.Code = ir.CodeParam
			c.refused(d, path, at)
		}
	}
	if !known {
		c.found.add(ir.Diagnostic{Pos: c.files.labelPlace(m.value, at), Path: path, Code: ir.CodeParam,
			Message: fmt.Sprintf("the scenario has no parameter %q", m.name), Suggestion: ir.Nearest(m.name, names)})
	}
}

// text is a scalar as -t takes it.
func text(v cue.Value) string {
	v, _ = v.Default()
	if s, err := v.String(); err == nil {
		return s
	}
	return fmt.Sprint(v)
}
