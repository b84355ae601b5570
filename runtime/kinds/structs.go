package kinds

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	kjson "sigs.k8s.io/json"

	"github.com/plscript/plscript/lang/ir"
)

var objectMeta = reflect.TypeFor[metav1.ObjectMeta]()

// value checks v against the Go type that a client decodes it into.
func (c *checker) value(typ reflect.Type, v any, path string) {
	if v == nil {
		return
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	info := infoOf(typ)
	switch {
	case info.message != nil:
		c.message(info.message, v, path)
		return
	case info.reads:
		c.ownSyntax(typ, v, path)
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		c.structure(info, v, path)
	case reflect.Map:
		c.mapping(typ, v, path)
	case reflect.Slice, reflect.Array:
		c.list(typ, v, path)
	case reflect.String:
		c.text(v, path)
	case reflect.Bool:
		c.truth(v, path)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.integer(v, path, typ.Bits(), true)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		c.integer(v, path, typ.Bits(), false)
	case reflect.Float32, reflect.Float64:
		c.decimal(v, path, typ.Bits())
	}
}

func (c *checker) structure(info *typeInfo, v any, path string) {
	m, ok := v.(map[string]any)
	if !ok {
		c.mismatch(path, "a struct", v)
		return
	}
	for name, child := range m {
		field, ok := info.fields[name]
		if !ok {
			c.unknown(path, name, func() []string { return sortedKeys(info.fields) })
			continue
		}
		c.value(field, child, join(path, name))
	}
}

func (c *checker) mapping(typ reflect.Type, v any, path string) {
	m, ok := v.(map[string]any)
	if !ok {
		c.mismatch(path, "a struct", v)
		return
	}
	for name, child := range m {
		c.value(typ.Elem(), child, join(path, name))
	}
}

func (c *checker) list(typ reflect.Type, v any, path string) {
	if typ.Elem().Kind() == reflect.Uint8 {
		c.base64(v, path)
		return
	}
	elements, ok := v.([]any)
	if !ok {
		c.mismatch(path, "a list", v)
		return
	}
	for i, e := range elements {
		c.value(typ.Elem(), e, index(path, i))
	}
}

// syntaxes says what the types want that read themselves from JSON.
var syntaxes = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():        `a time like "2026-01-31T15:04:05Z"`,
	reflect.TypeFor[metav1.MicroTime]():   `a time like "2026-01-31T15:04:05.000000Z"`,
	reflect.TypeFor[metav1.Duration]():    `a duration like "1m30s"`,
	reflect.TypeFor[resource.Quantity]():  `a quantity like "500m" or "1Gi"`,
	reflect.TypeFor[intstr.IntOrString](): "an int or a string",
}

// ownSyntax lets a type that reads itself from JSON do so.
func (c *checker) ownSyntax(typ reflect.Type, v any, path string) {
	encoded, err := json.Marshal(v)
	if err == nil {
		_, err = kjson.UnmarshalStrict(encoded, reflect.New(typ).Interface())
	}
	if err == nil {
		return
	}
	want, ok := syntaxes[typ]
	_, text := v.(string)
	switch {
	case ok && text:
		c.refused(path, want, v)
		return
	case ok:
		c.mismatch(path, want, v)
		return
	}
	c.add(ir.CodeValue, path, "cannot be read: "+err.Error())
}

// typeInfo is what the checks need to know of a Go type.
type typeInfo struct {
	message protoreflect.MessageDescriptor // of a protobuf message, else nil
	reads   bool                           // it has a JSON syntax of its own
	fields  map[string]reflect.Type        // of a struct, by JSON name
}

var infos sync.Map // of *typeInfo by reflect.Type; types are few and fixed, and looking into them is slow

func infoOf(typ reflect.Type) *typeInfo {
	if info, ok := infos.Load(typ); ok {
		return info.(*typeInfo)
	}
	info := &typeInfo{}
	switch zero := reflect.New(typ).Interface().(type) {
	case protoreflect.ProtoMessage: // before the next: Istio's messages have a JSON syntax that skips unknown fields
		info.message = zero.ProtoReflect().Descriptor()
	case json.Unmarshaler, encoding.TextUnmarshaler:
		info.reads = true
	default:
		if typ.Kind() == reflect.Struct {
			info.fields = map[string]reflect.Type{}
			addFields(info.fields, typ)
		}
	}
	infos.Store(typ, info)
	return info
}

// addFields collects the fields of a struct as encoding/json sees them: embedded structs without a name of their own
// give theirs to the struct.
func addFields(into map[string]reflect.Type, typ reflect.Type) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		embedded := field.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case name == "-" || !field.IsExported() && !field.Anonymous:
		case field.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			addFields(into, embedded)
		case name == "":
			into[field.Name] = field.Type
		default:
			into[name] = field.Type
		}
	}
}
