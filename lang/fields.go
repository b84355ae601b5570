package lang

import "cuelang.org/go/cue"

// field is what a definition says of one field.
type field struct {
	value              cue.Value
	required, optional bool
}

// fields lists the fields of a struct definition. The map is shared and must not be changed.
func (d *definitions) fields(def cue.Value) map[string]field {
	known, ok := d.known[def]
	if !ok {
		known = fieldsOf(def)
		d.known[def] = known
	}
	return known
}

// fieldsOf lists the fields of a definition. A field is required if it is marked so, or is a plain type with no default.
func fieldsOf(def cue.Value) map[string]field {
	if !def.Exists() {
		return nil
	}
	it, err := def.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	fields := map[string]field{}
	for it.Next() {
		sel, v := it.Selector(), it.Value()
		f := field{value: v, required: sel.ConstraintType() == cue.RequiredConstraint, optional: sel.ConstraintType() == cue.OptionalConstraint}
		if sel.ConstraintType() == 0 {
			d, _ := v.Default()
			f.required = !d.IsConcrete() && v.IncompleteKind()&(cue.StructKind|cue.ListKind) == 0
		}
		fields[sel.Unquoted()] = f
	}
	return fields
}

// alternatives lists what a definition accepts. The slice is shared and must not be changed.
func (d *definitions) alternatives(def cue.Value) []alternative {
	alts, ok := d.choices[def]
	if !ok {
		alts = alternatives(def, "")
		d.choices[def] = alts
	}
	return alts
}

// choose returns the alternative of def that v, of the given kind, was meant for: the one with a place for most of its
// fields or elements.
func (d *definitions) choose(def, v cue.Value, kind cue.Kind) (cue.Value, bool) {
	if !def.Exists() || def.IncompleteKind()&kind == 0 {
		return def, false
	}
	var fit []cue.Value
	for _, a := range d.alternatives(def) {
		if a.message == "" && a.value.IncompleteKind()&kind != 0 {
			fit = append(fit, a.value)
		}
	}
	if len(fit) == 0 {
		return def, false
	}
	best, bestShared := fit[0], -1
	for _, alt := range fit {
		if len(fit) == 1 {
			break
		}
		if n := d.shared(alt, v, kind); n > bestShared {
			best, bestShared = alt, n
		}
	}
	return best, true
}

// shared counts the fields or elements of v that def has a place for.
func (d *definitions) shared(def, v cue.Value, kind cue.Kind) (n int) {
	if kind == cue.ListKind {
		for i := range elements(v) {
			if _, ok := element(def, i); ok {
				n++
			}
		}
		return n
	}
	known := d.fields(def)
	for _, m := range members(v) {
		if _, ok := known[m.name]; ok {
			n++
		}
	}
	return n
}

// element is what a list definition says of its i-th element.
func element(def cue.Value, i int) (cue.Value, bool) {
	if !def.Exists() {
		return cue.Value{}, false
	}
	e := def.LookupPath(cue.MakePath(cue.Index(i)))
	if !e.Exists() {
		e = def.LookupPath(cue.MakePath(cue.AnyIndex))
	}
	return e, e.Exists()
}
