package expr

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/google/cel-go/cel"

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

// Hole returns the expression of the string at path if that is one hole and nothing else.
func (t *Template) Hole(path string) (text string, ok bool) { return holeAt(t.root, path) }

func holeAt(n node, path string) (text string, ok bool) {
	var children []node
	switch n := n.(type) {
	case holeNode:
		return n.prog.Text, n.path == path
	case mapNode:
		children = n.values
	case listNode:
		children = n
	}
	for _, c := range children {
		if text, ok := holeAt(c, path); ok {
			return text, true
		}
	}
	return "", false
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
		return wrongNode{path, Hole{Start: err.Offset, Text: s}}
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
			parts = append(parts, wrongNode{path, h})
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
