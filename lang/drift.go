package lang

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/plscript/plscript/lang/ir"
)

// CheckCatalog reports what is wrong with the fragments of cat, for a test beside the actions: each must compile, be
// closed, have a doc comment on the definition and on every field, and have exactly the fields of the Go struct that its
// steps decode into, down to the last nested one.
func CheckCatalog(cat ir.Catalog) []error {
	defs, err := compile(cuecontext.New(), cat)
	if err != nil {
		return []error{err}
	}
	common := defs.fields(defs.anyStep)
	var errs []error
	for _, kind := range cat.Kinds() {
		frag, _ := cat.Lookup(kind)
		d := drift{defs: defs, common: common, fail: func(path, format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s: #%s: %s", frag.File, strings.TrimSuffix(kind+"."+path, "."), fmt.Sprintf(format, args...)))
		}}
		d.fragment(frag, defs.actions[kind])
	}
	return errs
}

// drift compares a definition with a Go type.
type drift struct {
	defs   *definitions
	common map[string]field
	fail   func(path, format string, args ...any)
}

func (d drift) fragment(frag ir.Fragment, def cue.Value) {
	if action, err := def.LookupPath(cue.ParsePath("action")).String(); err != nil || action != frag.Kind {
		d.fail("", "want the field action: %q", frag.Kind)
	}
	if len(def.Doc()) == 0 {
		d.fail("", "the definition has no doc comment")
	}
	if def.Allows(cue.Str("noSuchField")) {
		d.fail("", "the definition is open: a misspelled field would not be found")
	}
	d.value(def, reflect.TypeOf(frag.New()), "")
}

func (d drift) value(def cue.Value, t reflect.Type, path string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		if chosen, ok := d.defs.choose(def, cue.Value{}, cue.StructKind); ok {
			d.structure(chosen, t, path)
		} else {
			d.fail(path, "decodes into the struct %v and is %s", t, kindWords(def.IncompleteKind()))
		}
	case reflect.Slice:
		if chosen, ok := d.defs.choose(def, cue.Value{}, cue.ListKind); !ok {
			d.fail(path, "decodes into %v and is %s", t, kindWords(def.IncompleteKind()))
		} else if elem, ok := element(chosen, 0); ok {
			d.value(elem, t.Elem(), index(path, 0))
		}
	case reflect.Map:
		if pattern := def.LookupPath(cue.MakePath(cue.AnyString)); pattern.Exists() {
			d.value(pattern, t.Elem(), path+"[string]")
		}
	}
}

func (d drift) structure(def cue.Value, t reflect.Type, path string) {
	types := map[string]reflect.Type{}
	jsonFields(t, types)
	fields := d.defs.fields(def)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f, sub := fields[name], join(path, name)
		if _, inherited := d.common[name]; inherited && path == "" {
			continue
		}
		if len(f.value.Doc()) == 0 {
			d.fail(sub, "the field has no doc comment")
		}
		if types[name] == nil {
			d.fail(sub, "the field is not in %v, so it would be dropped", t)
			continue
		}
		d.value(f.value, types[name], sub)
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if _, ok := fields[name]; !ok {
			d.fail(join(path, name), "%v has this field, which the definition does not allow", t)
		}
	}
}

// jsonFields collects the names that a struct type decodes, with their types.
func jsonFields(t reflect.Type, types map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if name := jsonName(f); name != "" {
			types[name] = f.Type
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			jsonFields(f.Type, types)
		}
	}
}
