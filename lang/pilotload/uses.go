package pilotload

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plscript/plscript/lang/ir"
)

// translation is what one use of a template comes to.
type translation struct {
	objects []mapping
	refresh bool // they are updated as time goes by
	failed  error
}

// translate runs the template of a use, once for each value of .Rand, and joins the two. In the scope of a namespace
// there is no .Name.
func (r *reader) translate(c *config, u use, ofApp bool) translation {
	t := c.templates[u.template]
	if t.failed != nil {
		return translation{failed: t.failed}
	}
	if r.work.total > maxWork {
		if !r.exhausted {
			r.errorf(u.at.node, u.at.path, ir.CodeTooExpensive, "the templates make too much: put what is alike into one entry, with replicas")
		}
		r.exhausted = true
		return translation{failed: errors.New("too much")}
	}
	res, err := t.translate(u, ofApp, &r.work)
	if err != nil {
		r.untranslated(t, u, err)
		return translation{failed: err}
	}
	for _, o := range res.objects {
		if numbers(o) > 1 {
			r.warnf(u.at.node, u.at.path, ir.CodeEvaluation, "the template %q uses .RandNumber more than once: here each use is another number", t.name)
			break
		}
	}
	return res
}

func (t *goTemplate) translate(u use, ofApp bool, w *work) (translation, error) {
	data := maps.Clone(u.config)
	if _, set := data["Namespace"]; !set || !ofApp {
		data["Namespace"] = markNamespace
	}
	if _, set := data["Name"]; !set && ofApp {
		data["Name"] = markName
	}
	data["RandNumber"] = markNumber
	first := false
	if given, set := data["Rand"]; set {
		b, ok := given.(bool)
		if !ok {
			return translation{}, errors.New("its Rand is neither true nor false")
		}
		first = !b // pilot-load turns it over before the first writing too
	}
	data["Rand"] = first
	even, err := t.render(data, w)
	if err != nil {
		return translation{}, err
	}
	data["Rand"] = !first
	odd, err := t.render(data, w)
	if err != nil {
		return translation{}, err
	}
	if len(even.docs) != len(odd.docs) {
		return translation{}, errors.New("how many objects it makes depends on .Rand")
	}
	res := translation{refresh: even.refresh}
	if u.refresh != nil {
		res.refresh = *u.refresh
	}
	for i := range even.docs {
		o, err := object(merge(even.docs[i], odd.docs[i]), data["Namespace"])
		if err != nil {
			return translation{}, err
		}
		res.objects = append(res.objects, o)
	}
	return res, nil
}

// object checks that t can be a template of a scenario, and puts it into its namespace.
func object(t tree, namespace any) (mapping, error) {
	o, ok := t.(mapping)
	if !ok {
		return nil, errors.New("what it makes is no object")
	}
	for _, key := range []string{"apiVersion", "kind"} {
		if s, ok := o.text(key); !ok || s == "" || marked(s) {
			return nil, fmt.Errorf("the object's %s is not plain text", key)
		}
	}
	at := slices.IndexFunc(o, func(e entry) bool { return e.key == "metadata" })
	meta, ok := mapping(nil), false
	if at >= 0 {
		meta, ok = o[at].tree.(mapping)
	}
	name, named := meta.text("name")
	switch {
	case !ok || !named || name == "":
		return nil, errors.New("the object has no name, or one that depends on .Rand")
	case numbers(leaf{v: name}) > 0:
		return nil, errors.New("the object's name depends on .RandNumber: each refresh would make another object")
	}
	own := slices.DeleteFunc(slices.Clone(meta), func(e entry) bool { return e.key == "namespace" })
	if s, ok := namespace.(string); ok {
		own = append(own, entry{"namespace", leaf{v: s}})
	}
	o = slices.Clone(o)
	o[at].tree = own
	return o, nil
}

// text is a field that is text.
func (m mapping) text(key string) (string, bool) {
	t, _ := m.get(key)
	l, ok := t.(leaf)
	if !ok {
		return "", false
	}
	s, ok := l.v.(string)
	return s, ok
}

// templateError is an error of text/template, with its line.
var templateError = regexp.MustCompile(`^template: t:(\d+)(?::\d+)?: (?:executing "t" at )?((?s:.*))$`)

// lineOf takes the line within the template, 0 if there is none, out of an error.
func lineOf(err error) (line int, msg string) {
	m := templateError.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, err.Error()
	}
	line, _ = strconv.Atoi(m[1]) // digits, as the expression has it
	if _, why, ok := strings.Cut(m[2], "error calling "+tickName+": "); ok {
		return line, why // the user has written no such call
	}
	return line, m[2]
}

func plainError(err error) string { _, msg := lineOf(err); return msg }

// untranslated reports a template that a scenario cannot express, at its line if it is the user's.
func (r *reader) untranslated(t *goTemplate, u use, err error) {
	line, msg := lineOf(err)
	at := u.at.node
	if own := t.at.node; own != nil && line > 0 {
		place := *own
		if own.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			place.Line, place.Column = own.Line+line, 1
		}
		at = &place
	}
	r.warnf(at, u.at.path, ir.CodeEvaluation, "the template %q is not translated: %s", t.name, msg)
}
