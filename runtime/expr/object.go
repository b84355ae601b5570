package expr

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Object is a struct type of the environment, such as that of the variable `xds`.
type Object struct {
	Name   string
	Fields []ObjectField
}

// ObjectField is one field of an [Object].
type ObjectField struct {
	Name string
	Doc  string
	Type *cel.Type
	// Get reads the field from the Go value inside a [Value]; it returns [ErrNoData] where there is none.
	Get func(v any) (any, error)
}

// Type is the CEL type of values of o.
func (o *Object) Type() *cel.Type { return types.NewObjectType(o.Name) }

// Value wraps a Go value as a CEL value of type o.
func (o *Object) Value(v any) Value { return Value{object: o, v: v} }

// notPlain says why a value of type o cannot be put into an object.
func (o *Object) notPlain() error {
	names := make([]string, len(o.Fields))
	for i, f := range o.Fields {
		names[i] = f.Name
	}
	noun := withArticle(o.Name[strings.LastIndexByte(o.Name, '.')+1:])
	return fmt.Errorf("%s cannot be put into an object: name one of its fields, %s", noun, strings.Join(names, ", "))
}

func (o *Object) field(name string) (ObjectField, bool) {
	i := slices.IndexFunc(o.Fields, func(f ObjectField) bool { return f.Name == name })
	if i < 0 {
		return ObjectField{}, false
	}
	return o.Fields[i], true
}

// Value is a Go value of an [Object] type. The checker lets only declared fields through.
type Value struct {
	object *Object
	v      any
}

var _ ref.Val = Value{}

// ConvertToNative gives back the Go value.
func (v Value) ConvertToNative(t reflect.Type) (any, error) {
	if rv := reflect.ValueOf(v.v); rv.IsValid() && rv.Type().AssignableTo(t) {
		return v.v, nil
	}
	return nil, fmt.Errorf("a %s is not a %s", v.object.Name, t)
}

// ConvertToType supports type() only: these values have no other form.
func (v Value) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return v.object.Type()
	}
	return types.NewErr("a %s cannot become a %s", v.object.Name, t.TypeName())
}

// Equal is identity.
func (v Value) Equal(other ref.Val) ref.Val {
	o, ok := other.(Value)
	return types.Bool(ok && o.object == v.object && o.v == v.v)
}

// Type implements ref.Val.
func (v Value) Type() ref.Type { return v.object.Type() }

// Value implements ref.Val. It is v itself, so that a field can be found again from what CEL passes around.
func (v Value) Value() any { return v }

// Go returns the wrapped Go value.
func (v Value) Go() any { return v.v }

// provider adds the environment's object types to CEL's registry.
type provider struct {
	*types.Registry
	types map[string]*Object
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if o, ok := p.types[name]; ok {
		return types.NewTypeTypeWithParam(o.Type()), true
	}
	return p.Registry.FindStructType(name)
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	o, ok := p.types[name]
	if !ok {
		return p.Registry.FindStructFieldNames(name)
	}
	names := make([]string, len(o.Fields))
	for i, f := range o.Fields {
		names[i] = f.Name
	}
	return names, true
}

func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	o, ok := p.types[name]
	if !ok {
		return p.Registry.FindStructFieldType(name, field)
	}
	f, ok := o.field(field)
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: f.Type,
		IsSet: func(target any) bool {
			_, err := get(f, target)
			return err == nil
		},
		GetFrom: func(target any) (any, error) { return get(f, target) },
	}, true
}

func get(f ObjectField, target any) (any, error) {
	v, ok := target.(Value)
	if !ok {
		return nil, ErrNoData
	}
	return f.Get(v.v)
}
