package expr

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

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

// ErrNotCompiled is the error of a hole that did not compile, which is reported as a [TemplateProblem].
var ErrNotCompiled = errors.New("is no expression")

// wrongNode is a hole that did not compile.
type wrongNode struct {
	path string
	hole Hole
}

func (n wrongNode) render(r *rendering) (any, error) {
	e := &RenderError{Path: n.path, Offset: n.hole.Start, Text: n.hole.Text, Err: ErrNotCompiled}
	if !r.all {
		return nil, e
	}
	r.failed = append(r.failed, e)
	return nil, nil
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
