package kinds

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/plscript/plscript/lang/ir"
)

// message checks v against a protobuf message as Istio's clients read it: by the rules of protobuf's JSON, except that
// durations are Go's ("5m"), which Istio accepts everywhere (github.com/golang/protobuf/jsonpb, unmarshalMessage). Two
// things that those rules allow are refused, because no api-server takes them by the schema of Istio's custom resources
// (istio.io/istio, manifests/charts/base/files/crd-all.gen.yaml): numbers in quotes and the numbers of enums.
func (c *checker) message(md protoreflect.MessageDescriptor, v any, path string) {
	if v == nil || c.wellKnown(md, v, path) {
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		c.mismatch(path, "a struct", v)
		return
	}
	var chosen []protoreflect.FieldDescriptor // those given of any oneof
	for name, child := range m {
		fd := fieldOf(md, name)
		if fd == nil {
			c.unknown(path, name, func() []string { return fieldNames(md) })
			continue
		}
		if child == nil {
			continue
		}
		if _, both := m[fd.JSONName()]; both && name != fd.JSONName() {
			c.add(ir.CodeRule, join(path, name), "is the same field as "+show(fd.JSONName()))
			continue
		}
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			chosen = append(chosen, fd)
		}
		c.field(fd, child, join(path, name))
	}
	c.exclusive(chosen, path)
}

// protoNames are the fields that the schemas of Istio's custom resources list under their names in the .proto file too.
// Protobuf's JSON would take any field by that name; the api-server, which goes by the schema, does not.
var protoNames = map[string]bool{"mirror_percent": true, "jwks_uri": true}

// fieldOf finds a field by the name that it has in an object.
func fieldOf(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(name); fd != nil || !protoNames[name] {
		return fd
	}
	return md.Fields().ByTextName(name)
}

func fieldNames(md protoreflect.MessageDescriptor) []string {
	names := make([]string, md.Fields().Len())
	for i := range names {
		names[i] = md.Fields().Get(i).JSONName()
	}
	return names
}

// exclusive reports fields of one oneof that are set together, one problem for each oneof.
func (c *checker) exclusive(chosen []protoreflect.FieldDescriptor, path string) {
	if len(chosen) < 2 {
		return
	}
	names := map[protoreflect.Name][]string{}
	for _, fd := range chosen {
		oneof := fd.ContainingOneof().Name()
		names[oneof] = append(names[oneof], fd.JSONName())
	}
	for _, given := range names {
		if len(given) < 2 {
			continue
		}
		slices.Sort(given)
		for i, name := range given {
			given[i] = strconv.Quote(name)
		}
		c.add(ir.CodeRule, path, "only one of "+strings.Join(given, ", ")+" can be set")
	}
}

func (c *checker) field(fd protoreflect.FieldDescriptor, v any, path string) {
	switch {
	case fd.IsMap():
		m, ok := v.(map[string]any)
		if !ok {
			c.mismatch(path, "a struct", v)
			return
		}
		for name, child := range m {
			c.key(fd.MapKey(), name, join(path, name))
			c.single(fd.MapValue(), child, join(path, name))
		}
	case fd.IsList():
		elements, ok := v.([]any)
		if !ok {
			c.mismatch(path, "a list", v)
			return
		}
		for i, e := range elements {
			c.single(fd, e, index(path, i))
		}
	default:
		c.single(fd, v, path)
	}
}

// single checks one value of a field, which may be one of a list or map.
func (c *checker) single(fd protoreflect.FieldDescriptor, v any, path string) {
	if v == nil {
		return
	}
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		c.message(fd.Message(), v, path)
	case protoreflect.EnumKind:
		c.enum(fd.Enum(), v, path)
	case protoreflect.StringKind:
		c.text(v, path)
	case protoreflect.BoolKind:
		c.truth(v, path)
	case protoreflect.BytesKind:
		c.base64(v, path)
	case protoreflect.FloatKind:
		c.decimal(v, path, 32)
	case protoreflect.DoubleKind:
		c.decimal(v, path, 64)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		c.integer(v, path, 32, true)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		c.integer(v, path, 32, false)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		c.long(fd, v, path, true)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		c.long(fd, v, path, false)
	}
}

// long checks an integer of 64 bits. Protobuf's JSON writes them in quotes because JavaScript would round them; the
// custom resources' schemas take quotes for the generation that a status was made from, and for nothing else.
func (c *checker) long(fd protoreflect.FieldDescriptor, v any, path string, signed bool) {
	if s, ok := v.(string); ok && fd.Name() == "observed_generation" && isInteger(s, 64, signed) {
		return
	}
	c.integer(v, path, 64, signed)
}

// key checks a key of a map. Keys are text in JSON, but may have to be that of a number.
func (c *checker) key(fd protoreflect.FieldDescriptor, name, path string) {
	ok := true
	switch fd.Kind() {
	case protoreflect.BoolKind:
		ok = name == "true" || name == "false"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		ok = isInteger(name, 32, true)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		ok = isInteger(name, 32, false)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		ok = isInteger(name, 64, true)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		ok = isInteger(name, 64, false)
	}
	if !ok {
		c.add(ir.CodeValue, path, "keys here are of type "+fd.Kind().String()+", got "+show(name))
	}
}

// isInteger reports whether s is an integer of the given bits as JSON writes it: no leading zeros, no plus sign.
func isInteger(s string, bits int, signed bool) bool {
	if signed {
		i, err := strconv.ParseInt(s, 10, bits)
		return err == nil && strconv.FormatInt(i, 10) == s
	}
	u, err := strconv.ParseUint(s, 10, bits)
	return err == nil && strconv.FormatUint(u, 10) == s
}

func (c *checker) enum(ed protoreflect.EnumDescriptor, v any, path string) {
	values := ed.Values()
	if s, ok := v.(string); ok && values.ByName(protoreflect.Name(s)) != nil {
		return
	}
	names, quoted := make([]string, values.Len()), make([]string, values.Len())
	for i := range names {
		names[i] = string(values.Get(i).Name())
		quoted[i] = strconv.Quote(names[i])
	}
	code := ir.CodeValue
	typed, ok := v.(string)
	if !ok {
		code = ir.CodeType
	}
	c.unlisted(code, path, wanted("one of "+strings.Join(quoted, ", "), v), typed, func() []string { return names })
}

// wellKnown checks the messages that protobuf's JSON writes in a way of their own, and reports whether md is one.
func (c *checker) wellKnown(md protoreflect.MessageDescriptor, v any, path string) bool {
	if md.ParentFile().Package() != "google.protobuf" {
		return false
	}
	switch md.Name() {
	case "BoolValue", "StringValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value":
		c.single(md.Fields().ByNumber(1), v, path)
	case "Duration":
		c.parsed(v, path, `a duration like "1.5s" or "5m"`, func(s string) error { _, err := time.ParseDuration(s); return err })
	case "Timestamp":
		c.parsed(v, path, `a time like "2026-01-31T15:04:05Z"`, func(s string) error { _, err := time.Parse(time.RFC3339Nano, s); return err })
	case "Struct", "Any":
		if _, ok := v.(map[string]any); !ok {
			c.mismatch(path, "a struct", v)
		}
	case "ListValue":
		if _, ok := v.([]any); !ok {
			c.mismatch(path, "a list", v)
		}
	case "Value":
	default:
		return false
	}
	return true
}

// parsed checks text that has a syntax.
func (c *checker) parsed(v any, path, want string, parse func(string) error) {
	s, ok := v.(string)
	if !ok {
		c.mismatch(path, want, v)
	} else if parse(s) != nil {
		c.refused(path, want, v)
	}
}
