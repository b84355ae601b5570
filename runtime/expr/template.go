package expr

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/plscript/plscript/lang/ir"
)

// Template is a tree of JSON values with CEL holes, "${app.name}", in its strings. It is compiled once and rendered for
// each object.
type Template struct {
	root node
}

// TemplateProblem is a mistake in a hole.
type TemplateProblem struct {
	Path string // of the string in the tree: "spec.hosts[0]"
	Problem
}

// node renders one value of the tree.
type node interface {
	render(r *rendering) (any, error)
}

// rendering is one pass over a template.
type rendering struct {
	ctx  context.Context
	vars map[string]any
	// all: go on after a hole that fails, with null in its place, and collect the failures.
	all    bool
	failed []*RenderError
}

func (r *rendering) fail(n holeNode, err error) (any, error) {
	e := &RenderError{Path: n.path, Offset: n.offset, Text: n.prog.Text, Err: err}
	if !r.all {
		return nil, e
	}
	r.failed = append(r.failed, e)
	return nil, nil
}

// CompileTemplate compiles every hole in tree, which holds what encoding/json makes: maps, slices, strings, numbers.
func (e *Env) CompileTemplate(tree any) (*Template, []TemplateProblem) {
	c := &templateCompiler{env: e}
	root := c.value("", tree)
	return &Template{root: root}, c.problems
}

// Render evaluates the holes over vars and returns a new tree.
func (t *Template) Render(ctx context.Context, vars map[string]any) (any, error) {
	return t.root.render(&rendering{ctx: ctx, vars: vars})
}

// Sample renders as [Template.Render] does, and goes on after a hole that fails, so that all failures are found at once.
// What cannot be rendered is nil in the tree.
func (t *Template) Sample(ctx context.Context, vars map[string]any) (any, []*RenderError) {
	r := &rendering{ctx: ctx, vars: vars, all: true}
	v, err := t.root.render(r)
	if failure := (*RenderError)(nil); errors.As(err, &failure) {
		r.failed = append(r.failed, failure)
	}
	return v, r.failed
}

type templateCompiler struct {
	env      *Env
	problems []TemplateProblem
}

func (c *templateCompiler) value(path string, v any) node {
	switch v := v.(type) {
	case map[string]any:
		m := mapNode{}
		for k := range v {
			m.keys = append(m.keys, k)
		}
		sort.Strings(m.keys)
		for _, k := range m.keys {
			m.values = append(m.values, c.value(ir.JoinPath(path, k), v[k]))
		}
		return m
	case []any:
		l := make(listNode, len(v))
		for i, x := range v {
			l[i] = c.value(fmt.Sprintf("%s[%d]", path, i), x)
		}
		return l
	case string:
		return c.text(path, v)
	}
	return constNode{v}
}

// text compiles one string: all hole, so that the value keeps its type, or text around holes.
func (c *templateCompiler) text(path, s string) node {
	holes, err := Holes(s)
	if err != nil {
		c.problems = append(c.problems, TemplateProblem{path, Problem{Offset: err.Offset, Message: err.Message}})
		return constNode{s}
	}
	if len(holes) == 0 {
		return constNode{unescape(s)}
	}
	parts := []node(nil)
	at := 0
	for _, h := range holes {
		p, problems := c.env.Compile(h.Text, cel.DynType)
		for _, pr := range problems {
			pr.Offset += h.Start + 2
			c.problems = append(c.problems, TemplateProblem{path, pr})
		}
		if p == nil {
			continue
		}
		if h.Start == 0 && h.End == len(s) {
			return holeNode{path, h.Start + 2, p}
		}
		parts = append(parts, constNode{unescape(s[at:h.Start])}, holeNode{path, h.Start + 2, p})
		at = h.End
	}
	return concatNode(append(parts, constNode{unescape(s[at:])}))
}

// Hole is one "${...}" in a string: s[Start:End], with the expression inside.
type Hole struct {
	Start, End int
	Text       string
}

// Holes finds the holes of s. Braces and quotes inside the expression are followed, so that a map literal or a "}" in a
// string does not end it; "$${" is a plain "${".
func Holes(s string) ([]Hole, *Problem) {
	var out []Hole
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '$' {
			continue
		}
		if strings.HasPrefix(s[i:], "$${") {
			i += 2
			continue
		}
		if s[i+1] != '{' {
			continue
		}
		end := holeEnd(s, i+2)
		if end < 0 {
			return nil, &Problem{Offset: i, Message: `"${" is never closed: write "$${" for the characters themselves`}
		}
		out = append(out, Hole{Start: i, End: end + 1, Text: s[i+2 : end]})
		i = end
	}
	return out, nil
}

// holeEnd returns the index of the brace that closes the hole whose text begins at i, or -1.
func holeEnd(s string, i int) int {
	depth := 0
	var quote byte
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}

func unescape(s string) string { return strings.ReplaceAll(s, "$${", "${") }

type constNode struct{ v any }

func (n constNode) render(*rendering) (any, error) { return n.v, nil }

type mapNode struct {
	keys   []string
	values []node
}

func (n mapNode) render(r *rendering) (any, error) {
	out := make(map[string]any, len(n.keys))
	for i, k := range n.keys {
		v, err := n.values[i].render(r)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

type listNode []node

func (n listNode) render(r *rendering) (any, error) {
	out := make([]any, len(n))
	for i, x := range n {
		v, err := x.render(r)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

type holeNode struct {
	path   string
	offset int // of the expression in its string
	prog   *Program
}

func (n holeNode) render(r *rendering) (any, error) {
	v, err := n.prog.Eval(r.ctx, r.vars)
	if err != nil {
		return r.fail(n, err)
	}
	out, err := plain(v)
	if err != nil {
		return r.fail(n, err)
	}
	return out, nil
}

// RenderError is a hole that could not be rendered.
type RenderError struct {
	Path   string // of the string that holds it: "spec.hosts[0]"
	Offset int    // of the expression in that string, in bytes
	Text   string // of the expression
	Err    error
}

func (e *RenderError) Error() string { return fmt.Sprintf("%s: ${%s}: %v", e.Path, e.Text, e.Err) }

func (e *RenderError) Unwrap() error { return e.Err }

// concatNode is text with holes in it.
type concatNode []node

var errInMiddle = errors.New("a list, map or null cannot be put into the middle of a string")

func (n concatNode) render(r *rendering) (any, error) {
	var b strings.Builder
	before := len(r.failed)
	for _, part := range n {
		known := len(r.failed)
		v, err := part.render(r)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case map[string]any, []any, nil:
			if len(r.failed) > known {
				continue // it has said why
			}
			if _, err := r.fail(part.(holeNode), errInMiddle); err != nil {
				return nil, err
			}
		default:
			fmt.Fprint(&b, v)
		}
	}
	if len(r.failed) > before {
		return nil, nil
	}
	return b.String(), nil
}

// plain turns a CEL value into what encoding/json would make, with integers kept as int64.
func plain(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Int, types.Double, types.String, types.Bool:
		return v.Value(), nil
	case types.Uint:
		return int64(v), nil
	case types.Null:
		return nil, nil
	case types.Duration:
		return v.Duration.String(), nil
	case Value:
		return nil, v.object.notPlain()
	case traits.Lister:
		return plainList(v)
	case traits.Mapper:
		return plainMap(v)
	}
	return nil, fmt.Errorf("a %s cannot be put into an object", v.Type().TypeName())
}

func plainList(v traits.Lister) (any, error) {
	out := []any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		x, err := plain(it.Next())
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func plainMap(v traits.Mapper) (any, error) {
	out := map[string]any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		x, err := plain(v.Get(k))
		if err != nil {
			return nil, err
		}
		out[fmt.Sprint(k.Value())] = x
	}
	return out, nil
}
