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
	render(ctx context.Context, vars map[string]any) (any, error)
}

// CompileTemplate compiles every hole in tree, which holds what encoding/json makes: maps, slices, strings, numbers.
func (e *Env) CompileTemplate(tree any) (*Template, []TemplateProblem) {
	c := &templateCompiler{env: e}
	root := c.value("", tree)
	return &Template{root: root}, c.problems
}

// Render evaluates the holes over vars and returns a new tree.
func (t *Template) Render(ctx context.Context, vars map[string]any) (any, error) {
	return t.root.render(ctx, vars)
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
			m.values = append(m.values, c.value(join(path, k), v[k]))
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

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
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
			return holeNode{path, p}
		}
		parts = append(parts, constNode{unescape(s[at:h.Start])}, holeNode{path, p})
		at = h.End
	}
	return concatNode{path, append(parts, constNode{unescape(s[at:])})}
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

func (n constNode) render(context.Context, map[string]any) (any, error) { return n.v, nil }

type mapNode struct {
	keys   []string
	values []node
}

func (n mapNode) render(ctx context.Context, vars map[string]any) (any, error) {
	out := make(map[string]any, len(n.keys))
	for i, k := range n.keys {
		v, err := n.values[i].render(ctx, vars)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

type listNode []node

func (n listNode) render(ctx context.Context, vars map[string]any) (any, error) {
	out := make([]any, len(n))
	for i, x := range n {
		v, err := x.render(ctx, vars)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

type holeNode struct {
	path string
	prog *Program
}

func (n holeNode) render(ctx context.Context, vars map[string]any) (any, error) {
	v, err := n.prog.Eval(ctx, vars)
	if err != nil {
		return nil, &RenderError{n.path, n.prog.Text, err}
	}
	out, err := plain(v)
	if err != nil {
		return nil, &RenderError{n.path, n.prog.Text, err}
	}
	return out, nil
}

// RenderError is a hole that could not be rendered.
type RenderError struct {
	Path string // of the string that holds it: "spec.hosts[0]"
	Text string // of the expression
	Err  error
}

func (e *RenderError) Error() string { return fmt.Sprintf("%s: ${%s}: %v", e.Path, e.Text, e.Err) }

func (e *RenderError) Unwrap() error { return e.Err }

// concatNode is text with holes in it.
type concatNode struct {
	path  string
	parts []node
}

var errInMiddle = errors.New("a list, map or null cannot be put into the middle of a string")

func (n concatNode) render(ctx context.Context, vars map[string]any) (any, error) {
	var b strings.Builder
	for _, part := range n.parts {
		v, err := part.render(ctx, vars)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case map[string]any, []any, nil:
			return nil, &RenderError{n.path, part.(holeNode).prog.Text, errInMiddle}
		default:
			fmt.Fprint(&b, v)
		}
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
