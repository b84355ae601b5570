package lang

import (
	"fmt"
	"maps"
	"slices"

	"cuelang.org/go/cue"

	"github.com/plscript/plscript/lang/ir"
)

// special are functions that check fields in place of the definition, by name.
type special map[string]func(v cue.Value, path string, at ir.Pos)

// fields checks the fields of v against those of the struct def.
func (c *checker) fields(v, def cue.Value, path string, at ir.Pos, special special) {
	if c.templateParams(v, path, at) {
		return
	}
	known := c.defs.fields(def)
	before := c.found.count
	var unknown []member
	for _, m := range members(v) {
		sub := join(path, m.name)
		f, ok := known[m.name]
		switch check := special[m.name]; {
		case check != nil:
			check(m.value, sub, c.files.place(m.value, at))
		case ok:
			c.value(m.value, f.value, sub, at)
		case !def.Allows(cue.Str(m.name)):
			unknown = append(unknown, m)
		default:
			pattern := def.LookupPath(cue.MakePath(cue.AnyString))
			if !pattern.Exists() {
				c.free(m.value, sub, c.files.place(m.value, at))
				continue
			}
			c.value(m.value, pattern, sub, at)
		}
	}
	c.names(v, known, append(unknown, misspelled(v, known)...), path, at)
	c.whole(v, path, at, before)
}

// names reports the fields that def does not have and those that it requires. A required field under a wrong name is one
// mistake and not two.
func (c *checker) names(v cue.Value, known map[string]field, unknown []member, path string, at ir.Pos) {
	missing := map[string]bool{}
	absent := absent(v, known)
	for _, name := range absent {
		missing[name] = known[name].required
	}
	required := slices.DeleteFunc(slices.Clone(absent), func(name string) bool { return !known[name].required })
	for _, m := range unknown {
		near := ir.Nearest(m.name, absent)
		if near == "" {
			near = ir.Nearest(m.name, slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(name string) bool { return name == "action" }))
		}
		if near == "" && len(unknown) == 1 && len(required) == 1 {
			near = required[0]
		}
		if near != "" {
			delete(missing, near)
			c.found.meant[join(path, near)] = true
		}
		c.found.add(ir.Diagnostic{Pos: c.files.labelPlace(m.value, at), Path: join(path, m.name), Code: ir.CodeUnknownField,
			Message: fmt.Sprintf("unknown field %q", m.name), Suggestion: near})
	}
	if v.IncompleteKind() == cue.BottomKind && c.found.fromPoison(v.Err()) {
		c.found.lost++ // a part of v is reported as unknown, and may have had them
		return
	}
	for _, name := range required {
		if missing[name] {
			c.found.add(ir.Diagnostic{Pos: at, Path: join(path, name), Code: ir.CodeMissingField,
				Message: fmt.Sprintf("required field %q is missing", name)})
		}
	}
}

// misspelled lists the fields of v that an open definition allows, like any other name, and that were probably meant for
// a required one that is not there.
func misspelled(v cue.Value, known map[string]field) []member {
	var required []string
	for _, name := range absent(v, known) {
		if known[name].required {
			required = append(required, name)
		}
	}
	var list []member
	for _, m := range members(v) {
		if _, ok := known[m.name]; !ok && ir.Nearest(m.name, required) != "" {
			list = append(list, m)
		}
	}
	return list
}

// absent lists the fields of a definition that v does not have, sorted.
func absent(v cue.Value, known map[string]field) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, ok := lookup(v, name); !ok {
			names = append(names, name)
		}
	}
	return names
}
