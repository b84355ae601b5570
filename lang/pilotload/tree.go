package pilotload

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tree is a value of an object template: a mapping, a list, a leaf or a choice.
type tree interface{ cel() string }

type mapping []entry

type entry struct {
	key string
	tree
}

type sequence []tree

// leaf is a text, possibly with marks, an int64, a float64, a bool or nil.
type leaf struct {
	v      any
	quoted bool
}

// choice is one value in the object's first writing and every second one after it, and another in those between.
type choice struct{ even, odd tree }

func (m mapping) get(key string) (tree, bool) {
	i := slices.IndexFunc(m, func(e entry) bool { return e.key == key })
	if i < 0 {
		return nil, false
	}
	return m[i].tree, true
}

// treeOf reads the YAML that a template made.
func treeOf(n *yaml.Node, depth int) (tree, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("what it makes is nested too deeply")
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := mapping{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" || marked(key.Value) {
				return nil, fmt.Errorf("the key in line %d of what it makes is not plain text", key.Line)
			}
			v, err := treeOf(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if _, twice := out.get(key.Value); twice {
				return nil, fmt.Errorf("it makes the key %q twice", key.Value)
			}
			out = append(out, entry{key.Value, v})
		}
		return out, nil
	case yaml.SequenceNode:
		out := sequence{}
		for _, c := range n.Content {
			v, err := treeOf(c, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.ScalarNode:
		v := scalar(n)
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return nil, fmt.Errorf("%s is not a number that JSON has", n.Value)
		}
		return leaf{v, n.Style != 0}, nil
	}
	return nil, fmt.Errorf("it makes aliases")
}

// merge joins what a template makes at first with what it makes of the other value of .Rand.
func merge(even, odd tree) tree {
	if reflect.DeepEqual(even, odd) {
		return even
	}
	switch e := even.(type) {
	case mapping:
		if o, ok := odd.(mapping); ok && slices.EqualFunc(e, o, func(a, b entry) bool { return a.key == b.key }) {
			out := make(mapping, len(e))
			for i := range e {
				out[i] = entry{e[i].key, merge(e[i].tree, o[i].tree)}
			}
			return out
		}
	case sequence:
		if o, ok := odd.(sequence); ok && len(e) == len(o) {
			out := make(sequence, len(e))
			for i := range e {
				out[i] = merge(e[i], o[i])
			}
			return out
		}
	}
	return choice{even, odd}
}

func (m mapping) cel() string {
	parts := make([]string, len(m))
	for i, e := range m {
		parts[i] = celQuote(e.key) + ": " + dyn(e.tree)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (s sequence) cel() string {
	parts := make([]string, len(s))
	for i, t := range s {
		parts[i] = dyn(t)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (l leaf) cel() string {
	switch v := l.v.(type) {
	case string:
		return celText(v, l.quoted)
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	case nil:
		return "null"
	}
	return fmt.Sprint(l.v)
}

func (c choice) cel() string {
	even, odd := c.even.cel(), c.odd.cel()
	if k := kindOf(c.even); k == "" || k != kindOf(c.odd) {
		even, odd = dyn(c.even), dyn(c.odd)
	}
	return "generation % 2 == 0 ? " + even + " : " + odd
}

// dyn is t where CEL must not infer a type, because those beside it have others.
func dyn(t tree) string {
	if l, ok := t.(leaf); ok && kindOf(l) == "string" {
		return l.cel()
	}
	return "dyn(" + t.cel() + ")"
}

// kindOf is the CEL type of a leaf, "" for what has no simple one.
func kindOf(t tree) string {
	l, ok := t.(leaf)
	if !ok {
		return ""
	}
	if s, ok := l.v.(string); ok && s == markNumber.String() && !l.quoted {
		return "int64"
	}
	return fmt.Sprintf("%T", l.v)
}

// numbers counts the uses of .RandNumber in t.
func numbers(t tree) int {
	n := 0
	switch t := t.(type) {
	case mapping:
		for _, e := range t {
			n += numbers(e.tree)
		}
	case sequence:
		for _, e := range t {
			n += numbers(e)
		}
	case choice:
		n = max(numbers(t.even), numbers(t.odd))
	case leaf:
		if s, ok := t.v.(string); ok {
			n = strings.Count(s, markNumber.String())
		}
	}
	return n
}
