package pilotload

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plscript/plscript/lang/ir"
)

// text reads a scalar as text: numbers and the like stand for themselves.
func (r *reader) text(v value) string {
	if v.node.Kind != yaml.ScalarNode {
		r.wrong(v, "a text")
		return ""
	}
	return v.node.Value
}

// count reads how many of something there are.
func (r *reader) count(v value, most int) int {
	if v.node.Kind != yaml.ScalarNode {
		r.wrong(v, "a number")
		return 0
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(v.node.Value, "_", ""), 0, 64)
	switch {
	case err != nil:
		r.wrong(v, "a whole number")
		return 0
	case n < 0:
		r.errorf(v.node, v.path, ir.CodeValue, "must not be negative: %d", n)
		return 0
	case n > int64(most):
		r.errorf(v.node, v.path, ir.CodeValue, "must be at most %d: %d", most, n)
		return 0
	}
	return int(n)
}

// truth reads a boolean as YAML 1.1 has it, which pilot-load reads.
func (r *reader) truth(v value) bool {
	b, ok := boolean(v.node)
	if !ok {
		r.wrong(v, "true or false")
	}
	return b
}

// boolean is the value of a plain scalar that YAML 1.1 takes for a boolean.
func boolean(n *yaml.Node) (b, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return false, false
	}
	word := strings.ToLower(n.Value)
	b = slices.Contains([]string{"true", "yes", "on"}, word)
	return b, b || slices.Contains([]string{"false", "no", "off"}, word)
}

// duration reads a duration, or a number of nanoseconds. pilot-load takes a negative one for none.
func (r *reader) duration(v value) time.Duration {
	if v.node.Kind != yaml.ScalarNode {
		r.wrong(v, "a duration")
		return 0
	}
	d, err := time.ParseDuration(v.node.Value)
	if err != nil {
		n, err := strconv.ParseInt(v.node.Value, 10, 64)
		if err != nil || v.node.ShortTag() == "!!str" {
			r.wrong(v, `a duration, like "500ms"`)
			return 0
		}
		d = time.Duration(n)
		if n != 0 {
			r.warnf(v.node, v.path, ir.CodeValue, "a number without a unit is in nanoseconds: this is %s", d)
		}
	}
	return max(0, d)
}

// texts reads a mapping from text to text, sorted by key.
func (r *reader) texts(v value) []pair {
	byKey := map[string]string{}
	for _, f := range r.fields(v) {
		if !f.absent() {
			byKey[f.key.Value] = r.text(f.value)
		}
	}
	out := make([]pair, 0, len(byKey))
	for k, v := range byKey {
		out = append(out, pair{k, v})
	}
	slices.SortFunc(out, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	return out
}

// pair is an entry of a mapping from text to text.
type pair struct{ key, text string }

// shortDuration prints d without the units that are zero: "1m" rather than "1m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
