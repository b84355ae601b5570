package pilotload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/plscript/plscript/lang/ir"
)

const (
	// maxNodes bounds how much YAML is walked, aliases included, each time they are used.
	maxNodes = 30_000
	// maxDepth bounds the nesting of free-form values.
	maxDepth = 50
)

// reader reads one file and collects what is wrong with it.
type reader struct {
	name     string
	source   []byte
	lines    []int // where each line starts
	errors   ir.Diagnostics
	warnings ir.Diagnostics
	nodes    int // that were walked

	work      work // of running templates
	exhausted bool // there has been too much of it
}

func newReader(in Input) *reader {
	r := &reader{name: in.Name, source: in.Source, lines: []int{0}}
	for i, b := range in.Source {
		if b == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	return r
}

// value is a value in the file. Its node is nil, or stands for null, where there is none.
type value struct {
	node *yaml.Node // never an alias
	path string     // "namespaces[0].name"
}

// document parses the file. Aliases stay aliases, so that a bomb of them does not go off.
func (r *reader) document() (root value, ok bool) {
	switch {
	case len(r.source) > MaxBytes:
		r.errorf(nil, "", ir.CodeUnreadable, "the file is too large: more than %d bytes", MaxBytes)
		return value{}, false
	case bytes.IndexByte(r.source, 0) >= 0 || !utf8.Valid(r.source):
		r.errorf(nil, "", ir.CodeUnreadable, "this is not a text file")
		return value{}, false
	case bytes.ContainsAny(r.source, allMarks):
		r.errorf(nil, "", ir.CodeUnreadable, "the file has characters of Unicode's private use area (U+E000 to U+E002), which stand for other things here")
		return value{}, false
	}
	dec := yaml.NewDecoder(bytes.NewReader(r.source))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return value{}, true // an empty file is an empty configuration
	} else if err != nil {
		r.syntaxError(err)
		return value{}, false
	}
	if err := dec.Decode(&next); err == nil {
		r.warnf(&next, "", ir.CodeUnknownField, "pilot-load reads the first document only: this one is left out")
	}
	return value{node: r.resolve(doc.Content[0])}, true
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

func (r *reader) syntaxError(err error) {
	at := &yaml.Node{Line: 1, Column: 1}
	msg := err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			at.Line = n
		}
		msg = m[2]
	}
	r.errorf(at, "", ir.CodeSyntax, "this is not YAML: %s", msg)
}

// resolve follows aliases. YAML has no alias of an alias, but a cycle of anchors is no reason to hang.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

// spend counts a node that is walked and reports, once, that there are too many.
func (r *reader) spend(at *yaml.Node) bool {
	if r.nodes++; r.nodes == maxNodes {
		r.errorf(at, "", ir.CodeTooExpensive, "the configuration is too long, with its aliases written out: more than %d values", maxNodes)
	}
	return r.nodes < maxNodes
}

// pos is where a node stands. YAML counts columns in characters, diagnostics in bytes.
func (r *reader) pos(n *yaml.Node) ir.Pos {
	p := ir.Pos{File: r.name, Line: 1, Col: 1}
	if n == nil || n.Line < 1 || n.Line > len(r.lines) {
		return p
	}
	p.Line = n.Line
	line := r.source[r.lines[n.Line-1]:]
	at := 0
	for range n.Column - 1 {
		if at >= len(line) || line[at] == '\n' {
			break
		}
		_, size := utf8.DecodeRune(line[at:])
		at += size
	}
	p.Col = at + 1
	return p
}

func (r *reader) errorf(at *yaml.Node, path string, code ir.Code, format string, args ...any) {
	r.errors = append(r.errors, ir.Diagnostic{Pos: r.pos(at), Code: code, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) warnf(at *yaml.Node, path string, code ir.Code, format string, args ...any) {
	r.warn(at, ir.Diagnostic{Path: path, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(at *yaml.Node, d ir.Diagnostic) {
	d.Pos = r.pos(at)
	r.warnings = append(r.warnings, d)
}

// wrong reports a value of the wrong type.
func (r *reader) wrong(v value, want string) {
	got := map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}[v.node.Kind]
	if got == "" {
		got = strconv.Quote(shorten(v.node.Value))
	}
	r.errorf(v.node, v.path, ir.CodeType, "want %s, got %s", want, got)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}

func (v value) absent() bool { return v.node == nil || v.node.ShortTag() == "!!null" }

// field is one entry of a mapping.
type field struct {
	key *yaml.Node
	value
}

// fields are the entries of a mapping: those of merged mappings (<<) first, so that its own override them.
func (r *reader) fields(v value) []field { return r.entries(v, 0) }

func (r *reader) entries(v value, depth int) []field {
	if v.absent() || depth > maxDepth {
		return nil
	}
	if v.node.Kind != yaml.MappingNode {
		r.wrong(v, "a mapping")
		return nil
	}
	var merged, own []field
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, val := v.node.Content[i], r.resolve(v.node.Content[i+1])
		if !r.spend(key) {
			return nil
		}
		if key.ShortTag() == "!!merge" && val != nil {
			from := []*yaml.Node{val}
			if val.Kind == yaml.SequenceNode {
				from = val.Content
			}
			for _, n := range from {
				merged = append(r.entries(value{r.resolve(n), v.path}, depth+1), merged...)
			}
			continue
		}
		own = append(own, field{key, value{val, join(v.path, key.Value)}})
	}
	return append(merged, own...)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// list are the elements of a list.
func (r *reader) list(v value) []value {
	if v.absent() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		r.wrong(v, "a list")
		return nil
	}
	out := make([]value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		if !r.spend(n) {
			return nil
		}
		out = append(out, value{r.resolve(n), fmt.Sprintf("%s[%d]", v.path, i)})
	}
	return out
}

// dead is a key that does nothing, kept to be written as a comment.
type dead struct {
	text string // YAML
}

// known are the keys of a mapping that are read. pilot-load, as encoding/json does, ignores their case.
type known map[string]func(value)

// each gives the entries of a mapping to those who read them, and reports the others.
func (r *reader) each(v value, keys known) []dead {
	var names []string
	for name := range keys {
		names = append(names, name)
	}
	var out []dead
	for _, f := range r.fields(v) {
		read := keys[f.key.Value]
		for _, name := range names {
			if read == nil && strings.EqualFold(name, f.key.Value) {
				read = keys[name]
			}
		}
		if read == nil {
			r.warn(f.key, ir.Diagnostic{Code: ir.CodeUnknownField, Path: f.path, Message: obsolete(f.key.Value), Suggestion: ir.Nearest(f.key.Value, names)})
			out = append(out, dead{yamlText(f.key, f.node)})
		} else if !f.absent() {
			read(f.value)
		}
	}
	return out
}

// obsolete says of a key why it does nothing.
func obsolete(key string) string {
	switch key {
	case "istio", "gateways":
		return fmt.Sprintf("pilot-load reads %q no more and makes nothing of it: objects come from `configs`", key)
	}
	return fmt.Sprintf("pilot-load ignores %q: there is no such key", shorten(key))
}

// maxCommentNodes bounds what is repeated of a dead key.
const maxCommentNodes = 200

// yamlText is a mapping entry as YAML.
func yamlText(key, val *yaml.Node) string {
	if val == nil || count(key, maxCommentNodes)+count(val, maxCommentNodes) > maxCommentNodes {
		return key.Value + ": ..."
	}
	b, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, val}})
	if err != nil {
		return key.Value + ": ..."
	}
	return strings.TrimRight(string(b), "\n")
}

// count is how many nodes there are below n, aliases not followed, up to about limit.
func count(n *yaml.Node, limit int) int {
	total := 1 + len(n.Value)/80
	for _, c := range n.Content {
		if total > limit {
			break
		}
		total += count(c, limit-total)
	}
	return total
}
