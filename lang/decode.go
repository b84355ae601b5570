package lang

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"cuelang.org/go/cue"

	"github.com/plscript/plscript/lang/ir"
)

// CUE's own Decode is not used because it stops at the first error, gives those of UnmarshalJSON methods no position, and
// turns integers inside `any` into Go's int, which Kubernetes' unstructured objects do not accept.

// decode fills the struct that dst points to with the fields of v and the defaults of def, side by side rather than
// unified, so that an error in one field leaves the others. Fields that are errors or have no value stay zero: the walk
// has reported them. source tells where a field stands.
func (c *checker) decode(v, def cue.Value, dst any, path string, source func(string) ir.Source) {
	d := decoder{checker: c, base: path, source: source}
	d.structure(v, def, reflect.ValueOf(dst).Elem(), "")
}

// sourceIn finds the fields of v as a step's Source does.
func (c *checker) sourceIn(v cue.Value, at ir.Pos) func(string) ir.Source {
	return func(path string) ir.Source {
		f := v.LookupPath(cue.ParsePath(path))
		if !f.Exists() {
			return ir.NewSource(at, nil)
		}
		return c.files.source(f, at)
	}
}

type decoder struct {
	*checker
	base   string
	source func(path string) ir.Source
}

// value decodes into dst what v says within def; one of the two may not exist. path is relative to the struct that is
// being decoded.
func (d decoder) value(v, def cue.Value, dst reflect.Value, path string) {
	v, _ = v.Default()
	if d.unmarshal(v, def, dst, path) {
		return
	}
	switch dst.Kind() {
	case reflect.Pointer:
		if k := merge(v, def).IncompleteKind(); k == cue.BottomKind || k == cue.NullKind {
			return
		}
		target := reflect.New(dst.Type().Elem())
		d.value(v, def, target.Elem(), path)
		dst.Set(target)
	case reflect.Struct:
		d.structure(v, def, dst, path)
	case reflect.Slice:
		d.slice(v, def, dst, path)
	case reflect.Map:
		d.mapping(v, def, dst, path)
	case reflect.Interface:
		if x := plainValue(merge(v, def)); x != nil {
			dst.Set(reflect.ValueOf(x))
		}
	default:
		scalar, _ := merge(v, def).Default()
		d.scalar(scalar, dst, path)
	}
}

// merge is what v says within def. A value that is complete stays as it is: the walk has found that it fits.
func merge(v, def cue.Value) cue.Value {
	switch {
	case !v.Exists():
		return def
	case !def.Exists(), v.IsConcrete():
		return v
	}
	return v.Unify(def)
}

// unmarshal decodes into a type that reads itself, and reports whether dst is one.
func (d decoder) unmarshal(v, def cue.Value, dst reflect.Value, path string) bool {
	if !dst.CanAddr() {
		return false
	}
	var err error
	switch target := dst.Addr().Interface().(type) {
	case json.Unmarshaler:
		text, e := merge(v, def).MarshalJSON()
		if e != nil {
			return true // incomplete or an error, so reported
		}
		err = target.UnmarshalJSON(text)
	case encoding.TextUnmarshaler:
		text, e := merge(v, def).String()
		if e != nil {
			return true
		}
		err = target.UnmarshalText([]byte(text))
	default:
		return false
	}
	d.fail(path, err)
	return true
}

func (d decoder) structure(v, def cue.Value, dst reflect.Value, path string) {
	if chosen, ok := d.defs.choose(def, v, cue.StructKind); ok {
		def = chosen
	}
	known := d.defs.fields(def)
	for i := range dst.NumField() {
		field := dst.Type().Field(i)
		name := jsonName(field)
		if field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct {
			d.structure(v, def, dst.Field(i), path)
			continue
		}
		if !field.IsExported() || name == "" {
			continue
		}
		value, given := cue.Value{}, false
		if v.Exists() {
			value, given = lookup(v, name)
		}
		f, ok := known[name]
		switch {
		case given:
			d.value(value, f.value, dst.Field(i), join(path, name))
		case ok && !f.optional && !f.required:
			d.value(cue.Value{}, f.value, dst.Field(i), join(path, name))
		}
	}
}

func (d decoder) slice(v, def cue.Value, dst reflect.Value, path string) {
	if !v.Exists() {
		v, _ = def.Default()
	}
	if chosen, ok := d.defs.choose(def, v, cue.ListKind); ok {
		def = chosen
	}
	list := elements(v)
	if len(list) == 0 && shape(v) != cue.ListKind {
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
	for i, e := range list {
		elem, _ := element(def, i)
		d.value(e, elem, dst.Index(i), index(path, i))
	}
}

func (d decoder) mapping(v, def cue.Value, dst reflect.Value, path string) {
	if !v.Exists() {
		v, _ = def.Default()
	}
	list := members(v)
	if len(list) == 0 {
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(list)))
	for _, m := range list {
		e := reflect.New(dst.Type().Elem()).Elem()
		d.value(m.value, cue.Value{}, e, join(path, m.name))
		dst.SetMapIndex(reflect.ValueOf(m.name).Convert(dst.Type().Key()), e)
	}
}

// fail reports an error of a decode, unless the field already has a diagnostic.
func (d decoder) fail(path string, err error) {
	if err == nil {
		return
	}
	full := d.base
	if full != "" && path != "" && path[0] != '[' {
		full += "."
	}
	full += path
	if d.found.explains(full) {
		return
	}
	d.found.add(ir.Diagnostic{Pos: d.source(path).Pos, Path: full, Code: ir.CodeValue, Message: err.Error()})
}

func (d decoder) scalar(v cue.Value, dst reflect.Value, path string) {
	var err error
	switch dst.Kind() {
	case reflect.String:
		if s, e := v.String(); e == nil {
			dst.SetString(s)
		}
	case reflect.Bool:
		if b, e := v.Bool(); e == nil {
			dst.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, e := v.Int64()
		switch {
		case e == nil && !dst.OverflowInt(n):
			dst.SetInt(n)
		case v.Kind() == cue.IntKind:
			err = fmt.Errorf("%s is too large or too small", show(v))
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, e := v.Uint64()
		switch {
		case e == nil && !dst.OverflowUint(n):
			dst.SetUint(n)
		case v.Kind() == cue.IntKind:
			err = fmt.Errorf("%s is too large or negative", show(v))
		}
	case reflect.Float32, reflect.Float64:
		if n, e := v.Float64(); e == nil {
			dst.SetFloat(n)
		}
	default:
		err = fmt.Errorf("plscript cannot decode into %s", dst.Type())
	}
	d.fail(path, err)
}

// plainValue is v as encoding/json would have it, with integers as int64. Nil where it has no value.
func plainValue(v cue.Value) any {
	v, _ = v.Default()
	switch v.IncompleteKind() {
	case cue.StructKind:
		m := map[string]any{}
		for _, f := range members(v) {
			m[f.name] = plainValue(f.value)
		}
		return m
	case cue.ListKind:
		list := []any{}
		for _, e := range elements(v) {
			list = append(list, plainValue(e))
		}
		return list
	case cue.StringKind:
		if s, err := v.String(); err == nil {
			return s
		}
	case cue.BoolKind:
		if b, err := v.Bool(); err == nil {
			return b
		}
	case cue.IntKind:
		if n, err := v.Int64(); err == nil {
			return n
		}
		fallthrough
	case cue.FloatKind, cue.NumberKind:
		if n, err := v.Float64(); err == nil {
			return n
		}
	}
	return nil
}

// jsonName is the name of a struct field in the language, "" if it has none.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}
