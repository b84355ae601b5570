package capture

import (
	"errors"
	"fmt"
	"math"

	"go.yaml.in/yaml/v3"
)

var (
	errDeep    = fmt.Errorf("is nested more than %d levels deep", maxDepth)
	errValues  = fmt.Errorf("has more than %d values, with its aliases written out", maxValues)
	errKey     = errors.New("has a key that is not plain text")
	errScalar  = errors.New("has a value that JSON has no type for")
	errMerging = errors.New("merges what is not a mapping")
)

// decodeYAML reads YAML as JSON would hold it: map[string]any, []any, string, int64, float64, bool and nil. It says how
// many values it has walked.
func decodeYAML(text []byte) (v any, walked int, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, 0, fmt.Errorf("is not YAML: %w", err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, 0, nil
	}
	t := &tree{values: maxValues}
	v, err = t.value(doc.Content[0], maxDepth)
	return v, maxValues - t.values, err
}

// tree is a conversion, with what is left of its limits. Aliases count each time they are used, so that a bomb of them
// does not go off, and a cycle ends at the depth.
type tree struct{ values int }

func (t *tree) value(n *yaml.Node, depth int) (any, error) {
	if t.values--; t.values < 0 {
		return nil, errValues
	}
	if depth == 0 {
		return nil, errDeep
	}
	switch n.Kind {
	case yaml.AliasNode:
		return t.value(n.Alias, depth-1)
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		return out, t.entries(n, out, depth)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := t.value(c, depth-1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, errScalar
}

// entries adds the entries of a mapping to out: its own before those that it merges.
func (t *tree) entries(n *yaml.Node, out map[string]any, depth int) error {
	if depth == 0 {
		return errDeep
	}
	own := map[string]bool{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			return errKey
		case key.ShortTag() == "!!merge":
			merged = append(merged, n.Content[i+1])
			continue
		case own[key.Value]:
			return fmt.Errorf("has the key %.40q twice", key.Value)
		}
		own[key.Value] = true
		v, err := t.value(n.Content[i+1], depth-1)
		if err != nil {
			return err
		}
		out[key.Value] = v
	}
	for _, m := range merged {
		if err := t.merge(m, out, depth); err != nil {
			return err
		}
	}
	return nil
}

// merge adds the entries of a merged mapping, or of a list of them, that out does not have yet.
func (t *tree) merge(n *yaml.Node, out map[string]any, depth int) error {
	if t.values--; t.values < 0 {
		return errValues
	}
	switch {
	case depth == 0:
		return errDeep
	case n.Kind == yaml.AliasNode:
		return t.merge(n.Alias, out, depth-1)
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			if err := t.merge(c, out, depth-1); err != nil {
				return err
			}
		}
		return nil
	case n.Kind != yaml.MappingNode:
		return errMerging
	}
	more := map[string]any{}
	if err := t.entries(n, more, depth-1); err != nil {
		return err
	}
	for k, v := range more {
		if _, ok := out[k]; !ok {
			out[k] = v
		}
	}
	return nil
}

// scalar is a plain value. Dates are text, as in JSON.
func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!str", "!!timestamp", "!!binary":
		return n.Value, nil
	case "!!null":
		return nil, nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, errScalar
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case uint64:
		return float64(v), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, nil
		}
	}
	return nil, errScalar
}
