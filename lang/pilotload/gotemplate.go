package pilotload

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"text/template"
	"text/template/parse"

	"go.yaml.in/yaml/v3"
)

//go:embed builtin/*.yaml
var builtinFS embed.FS

const (
	maxTemplateBytes = 64 << 10
	maxRendered      = 256 << 10
	maxRounds        = 5_000   // of all loops of one rendering
	costOfRound      = 40      // as much as that many bytes, or so
	maxWork          = 4 << 20 // of all renderings, in bytes
)

// work is what running templates has cost.
type work struct {
	rounds int // of the loops of this rendering
	total  int // what all renderings have cost, in bytes
}

// goTemplate is one entry of `templates`, or a built-in one.
type goTemplate struct {
	name   string
	source string
	at     value // where it stands; no node if it is built in
	failed error // why it cannot be translated
	tree   *parse.Tree
	shown  bool // the scenario has it as a comment
}

// builtins are the templates that pilot-load brings along.
func builtins() map[string]*goTemplate {
	out := map[string]*goTemplate{}
	files, _ := builtinFS.ReadDir("builtin") // an embedded folder can be read
	for _, f := range files {
		b, _ := builtinFS.ReadFile(path.Join("builtin", f.Name()))
		name := strings.TrimSuffix(f.Name(), path.Ext(f.Name()))
		out[name] = parseTemplate(name, string(b))
	}
	return out
}

// templates reads the user's own. They come before the built-in ones of the same name.
func (r *reader) templates(c *config, v value) {
	for _, f := range r.fields(v) {
		if f.absent() {
			continue
		}
		t := parseTemplate(f.key.Value, r.text(f.value))
		t.at = f.value
		if t.failed != nil {
			r.untranslated(t, use{at: t.at}, t.failed)
		}
		c.templates[t.name] = t
	}
}

// parseTemplate parses a template and finds what cannot be run here.
func parseTemplate(name, source string) *goTemplate {
	t := &goTemplate{name: name, source: source}
	if len(source) > maxTemplateBytes {
		t.failed = fmt.Errorf("it is too long: more than %d bytes", maxTemplateBytes)
		return t
	}
	tree := parse.New("t")
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if tree, t.failed = tree.Parse(source, "", "", set); t.failed != nil {
		return t
	}
	if len(set) > 1 {
		t.failed = errors.New("{{define}} and {{block}} are not understood")
		return t
	}
	c := &templateChecker{source: source}
	c.list(tree.Root)
	t.tree, t.failed = tree, c.failed
	return t
}

// templateChecker looks for what a template cannot use here, and makes its loops countable.
type templateChecker struct {
	source string
	failed error
}

// fail keeps the first mistake, in the form of text/template's own.
func (c *templateChecker) fail(n parse.Node, format string, args ...any) {
	if c.failed == nil {
		line := 1 + strings.Count(c.source[:min(int(n.Position()), len(c.source))], "\n")
		c.failed = fmt.Errorf("template: t:%d: %s", line, fmt.Sprintf(format, args...))
	}
}

func (c *templateChecker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			c.pipe(n.Pipe)
		case *parse.IfNode:
			c.branch(&n.BranchNode)
		case *parse.WithNode:
			c.branch(&n.BranchNode)
		case *parse.RangeNode:
			c.branch(&n.BranchNode)
			n.List.Nodes = append([]parse.Node{tick(n.Pos)}, n.List.Nodes...)
		case *parse.TemplateNode:
			c.fail(n, "{{template}} is not understood")
		}
	}
}

func (c *templateChecker) branch(n *parse.BranchNode) {
	c.pipe(n.Pipe)
	c.list(n.List)
	c.list(n.ElseList)
}

func (c *templateChecker) pipe(p *parse.PipeNode) {
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			switch arg := arg.(type) {
			case *parse.PipeNode:
				c.pipe(arg)
			case *parse.ChainNode:
				if p, ok := arg.Node.(*parse.PipeNode); ok {
					c.pipe(p)
				}
			case *parse.IdentifierNode:
				if !understood(arg.Ident) {
					c.fail(arg, "the function %q is not understood", arg.Ident)
				}
			}
		}
	}
}

// tick is an action that counts a round of the loop at pos.
func tick(pos parse.Pos) parse.Node {
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{{
		NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{parse.NewIdentifier(tickName).SetPos(pos)},
	}}}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: pipe}
}

// rendered is what a template makes of its data: YAML documents.
type rendered struct {
	docs    []tree
	refresh bool // it says so in a comment
}

// render runs the template.
func (t *goTemplate) render(data map[string]any, w *work) (*rendered, error) {
	w.rounds = 0
	tmpl, err := template.New("t").Funcs(functions(w)).AddParseTree("t", t.tree)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	out := &limited{left: maxRendered}
	err = tmpl.Execute(out, data)
	w.total += costOfRound*w.rounds + out.Len()
	if err != nil {
		return nil, err
	}
	text := out.String()
	if strings.Contains(text, "<no value>") {
		return nil, errors.New("it uses a field that neither the config nor pilot-load sets, so that it makes \"<no value>\"")
	}
	res := &rendered{refresh: !strings.Contains(text, "#refresh=false") && strings.Contains(text, "#refresh=true")}
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return res, nil
		} else if err != nil {
			return nil, fmt.Errorf("what it makes is not YAML: %w", err)
		}
		if doc.Content[0].ShortTag() == "!!null" {
			continue
		}
		d, err := treeOf(doc.Content[0], 0)
		if err != nil {
			return nil, err
		}
		res.docs = append(res.docs, d)
	}
}

// limited is a buffer that refuses to grow for ever.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("it makes more than %d bytes", maxRendered)
	}
	return l.Buffer.Write(p)
}
