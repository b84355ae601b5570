// Package kinds tells, offline, whether an api-server would understand an object: whether its kind exists, whether every
// field is one that the kind has, and whether every value is of the field's type.
//
// It knows the kinds of Istio, of the Gateway API and of Kubernetes by the Go types that their clients decode into.
// Decoding alone is not enough to find mistakes: the decoders of Istio's types skip unknown fields silently, and the
// others stop at the first value that does not fit. So an object is walked beside its type, which finds every mistake
// with its path, and decoded as a last check.
//
// Objects of other kinds pass, since any custom resource may be applied, unless they are a near miss of a known kind.
package kinds

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plscript/plscript/lang/ir"
)

// maxProblems is how many problems of one object are returned. Past that an object is not misspelled but something else.
const maxProblems = 100

// Problem is one mistake in an object.
type Problem struct {
	Code       ir.Code // what kind of mistake it is
	Path       string  // the field: spec.http[0].route[0].wieght, metadata.labels["app.kubernetes.io/name"]
	Message    string  // in the user's words: unknown field "wieght"; want an int, got a string
	Suggestion string  // what was probably meant, "" if nothing is near
}

// Check returns what is wrong with obj, sorted by path; nil if nothing is. At most 100 problems are returned.
//
// obj is a rendered object as encoding/json decodes it: map[string]any, []any, string, bool, nil and numbers of any
// basic type. null counts as a field that is not set. Check never changes obj, and its work is bounded for any input,
// including maps that contain themselves.
func Check(obj map[string]any) []Problem {
	c := &checker{}
	if path, why := oversized(obj); why != "" {
		c.add(ir.CodeValue, path, why)
		return c.problems()
	}
	c.object(obj)
	return c.problems()
}

// checker collects what is wrong with one object.
type checker struct{ found []finding }

// finding is a problem whose suggestion is still to be looked for, which is only worth doing for those returned.
type finding struct {
	Problem
	typed string          // the name that was typed
	known func() []string // the names that it may have been meant to be
}

// object checks a whole object, from what kind it is to what it holds.
func (c *checker) object(obj map[string]any) {
	gvk, typ := c.identity(obj)
	if typ != nil {
		c.value(typ, obj, "")
	} else if meta, ok := obj["metadata"]; ok {
		c.value(objectMeta, meta, "metadata")
	}
	c.metadata(obj, gvk.GroupKind())
	if gvk.GroupKind() == (schema.GroupKind{Kind: "Secret"}) {
		c.tlsSecret(obj)
	}
	if typ != nil && len(c.found) == 0 {
		c.decode(typ, obj)
	}
}

func (c *checker) add(code ir.Code, path, message string) {
	c.found = append(c.found, finding{Problem: Problem{Code: code, Path: path, Message: message}})
}

// mismatch says that v is of another type than the field.
func (c *checker) mismatch(path, want string, v any) {
	c.add(ir.CodeType, path, "want "+want+", got "+word(v))
}

// refused says that v is of the right type but not a value that the field takes.
func (c *checker) refused(path, want string, v any) { c.add(ir.CodeValue, path, wanted(want, v)) }

// unlisted reports a name that is none of the known ones.
func (c *checker) unlisted(code ir.Code, path, message, typed string, known func() []string) {
	c.found = append(c.found, finding{Problem: Problem{Code: code, Path: path, Message: message}, typed: typed, known: known})
}

// unknown reports a field that does not exist in the struct at path.
func (c *checker) unknown(path, name string, known func() []string) {
	c.unlisted(ir.CodeUnknownField, join(path, name), "unknown field "+show(name), name, known)
}

// required reports whether the struct at path sets the field name. If not, the field that may be a misspelling of it is
// reported, else that it is missing.
func (c *checker) required(in map[string]any, path, name string) bool {
	if in[name] != nil {
		return true
	}
	want := []string{name}
	for _, key := range sortedKeys(in) {
		if nearest(key, want) != "" {
			c.unknown(path, key, func() []string { return want })
			return false
		}
	}
	c.add(ir.CodeMissingField, join(path, name), "required field "+show(name)+" is missing")
	return false
}

// problems sorts what was found, drops what two checks found alike, and looks for suggestions.
func (c *checker) problems() []Problem {
	slices.SortStableFunc(c.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	c.found = slices.CompactFunc(c.found, func(a, b finding) bool {
		return a.Path == b.Path && a.Message == b.Message
	})
	var out []Problem
	for _, f := range c.found[:min(len(c.found), maxProblems)] {
		if f.Suggestion == "" && f.known != nil {
			f.Suggestion = nearest(f.typed, f.known())
		}
		out = append(out, f.Problem)
	}
	return out
}
