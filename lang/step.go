package lang

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"

	"github.com/plscript/plscript/lang/ir"
)

// step checks a step against the definition of its action and decodes it.
func (c *checker) step(v cue.Value, path string, at ir.Pos) *ir.Step {
	s := &ir.Step{Path: path, Pos: at, Sources: map[string]ir.Source{}}
	c.files.sources(v, "", at, s.Sources)
	frag, def, ok := c.action(v, path, at)
	before := c.found.count
	if !ok {
		c.fields(v, c.defs.anyStep, path, at, special{"action": func(cue.Value, string, ir.Pos) {}})
		c.common(s, v, c.defs.anyStep)
		return s
	}
	s.Kind = frag.Kind
	c.fields(v, def, path, at, nil)
	if c.found.count == before {
		c.together(v, def, path, at)
	}
	c.common(s, v, def)
	c.rules(s, v, frag, def)
	s.Body = frag.New()
	c.decode(v, def, s.Body, path, s.Source)
	return s
}

// together finds what a definition says across its fields. Two things that CUE refuses here are no mistakes. The user's
// own closed definitions (#Web: {name: string}) do not allow the fields that ours add by default; the walk has already
// looked for unknown ones. And a parameter with a default in a field with another default is ambiguous to CUE, so only
// errors count, not what is incomplete.
func (c *checker) together(v, def cue.Value, path string, at ir.Pos) {
	err := v.Unify(def).Validate()
	if err == nil {
		return
	}
	for _, e := range errors.Errors(err) {
		if format, _ := e.Msg(); format == "field not allowed" {
			return
		}
	}
	c.found.evaluation(c.files, err, path, at, "")
}

// action finds the action that a step names.
func (c *checker) action(v cue.Value, path string, at ir.Pos) (ir.Fragment, cue.Value, bool) {
	field, ok := lookup(v, "action")
	if !ok {
		return ir.Fragment{}, cue.Value{}, c.missingAction(v, path, at)
	}
	path = join(path, "action")
	at = c.files.place(field, at)
	field, _ = field.Default()
	kind, err := field.String()
	if err != nil {
		if shape(field) == cue.BottomKind {
			c.broken(field, path, at)
		} else if !field.IsConcrete() {
			c.noValue(field, path, at)
		} else {
			c.refused(wrongKind(cue.StringKind, field.Kind()), path, at)
		}
		return ir.Fragment{}, cue.Value{}, false
	}
	frag, ok := c.cat.Lookup(kind)
	if !ok {
		d := ir.Diagnostic{Pos: at, Path: path, Code: ir.CodeUnknownAction,
			Message: fmt.Sprintf("unknown action %q", kind), Suggestion: ir.Nearest(kind, c.cat.Kinds())}
		if d.Suggestion == "" {
			d.Message += "; there are " + strings.Join(c.cat.Kinds(), ", ")
		}
		c.found.add(d)
		return ir.Fragment{}, cue.Value{}, false
	}
	return frag, c.defs.actions[kind], true
}

// missingAction reports a step without an action, looking for a misspelled one.
func (c *checker) missingAction(v cue.Value, path string, at ir.Pos) bool {
	d := ir.Diagnostic{Pos: at, Path: join(path, "action"), Code: ir.CodeMissingField, Message: `required field "action" is missing`}
	for _, m := range members(v) {
		if _, ok := c.cat.Lookup(m.name); ok {
			d = ir.Diagnostic{Pos: c.files.labelPlace(m.value, at), Path: join(path, m.name), Code: ir.CodeUnknownField,
				Message: fmt.Sprintf("unknown field %q: a step names its action like this, {action: %q, ...}", m.name, m.name)}
			break
		}
		if _, common := c.defs.fields(c.defs.anyStep)[m.name]; !common && ir.Nearest(m.name, []string{"action"}) != "" {
			d = ir.Diagnostic{Pos: c.files.labelPlace(m.value, at), Path: join(path, m.name), Code: ir.CodeUnknownField,
				Message: fmt.Sprintf("unknown field %q", m.name), Suggestion: "action"}
		}
	}
	c.found.add(d)
	return false
}

// common decodes the fields that every step has.
func (c *checker) common(s *ir.Step, v, def cue.Value) {
	var plain struct {
		Name       string      `json:"name"`
		When       string      `json:"when"`
		Timeout    ir.Duration `json:"timeout"`
		OnError    ir.OnError  `json:"onError"`
		Background bool        `json:"background"`
	}
	c.decode(v, def, &plain, s.Path, s.Source)
	s.Name, s.When, s.Timeout, s.OnError, s.Background = plain.Name, plain.When, plain.Timeout, plain.OnError, plain.Background
	if s.Name == "" {
		s.Name = s.Kind
	}
}

// rules are those that hold between the common fields and the action's.
func (c *checker) rules(s *ir.Step, v cue.Value, frag ir.Fragment, def cue.Value) {
	for _, field := range []string{"onError", "rate", "duration", "background"} {
		if c.found.meant[join(s.Path, field)] {
			return
		}
	}
	rule := func(field, format string, args ...any) {
		c.found.add(ir.Diagnostic{Pos: s.Source(field).Pos, Path: join(s.Path, field), Code: ir.CodeRule, Message: fmt.Sprintf(format, args...)})
	}
	if s.OnError == ir.OnErrorRetry && !frag.Idempotent {
		rule("onError", "%s cannot be tried again, since its first try may have had effects; use \"fail\" or \"continue\"", s.Kind)
	}
	fields := c.defs.fields(def)
	_, paced := fields["rate"]
	_, lasts := fields["duration"]
	_, rate := lookup(v, "rate")
	_, duration := lookup(v, "duration")
	_, count := lookup(v, "count")
	if _, background := lookup(v, "background"); paced && lasts && rate && !duration && !count && !s.Background {
		field := "rate"
		if background {
			field = "background"
		}
		rule(field, "%s with a rate and no duration never ends: give it a duration, or background: true", s.Kind)
	}
}
