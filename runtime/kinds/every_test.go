package kinds

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// filler sets every field of a Go object, so that what its own encoder writes can be compared with what Check accepts.
// Of each oneof and enum one member is chosen; objects filled with different choices have all of them.
type filler struct{ choice int }

// What is not the name of a field is one of these.
const (
	keyName  = "key"  // of maps
	freeName = "free" // in values that may hold anything
)

// long stands for every uint64. Protobuf's encoder puts it in quotes, which the custom resources' schemas do not take.
const (
	long     = 1234567890123
	longText = "1234567890123"
)

const maxFill = 30 // levels; types that contain themselves end here

func (f filler) object(t *testing.T, gvk schema.GroupVersionKind, typ reflect.Type) map[string]any {
	t.Helper()
	v := reflect.New(typ)
	f.fill(v.Elem(), maxFill)
	text, err := json.Marshal(v.Interface())
	if err != nil {
		t.Fatalf("%s: %v", gvk, err)
	}
	obj := decoded(t, bytes.ReplaceAll(text, []byte(strconv.Quote(longText)), []byte(longText)))
	obj["apiVersion"], obj["kind"] = gvk.ToAPIVersionAndKind()
	return obj
}

func (f filler) fill(v reflect.Value, depth int) {
	switch target := v.Addr().Interface().(type) {
	case protoreflect.ProtoMessage:
		f.message(target.ProtoReflect(), depth)
		return
	case *metav1.Time:
		*target = metav1.Unix(1e9, 0)
		return
	case *metav1.MicroTime:
		*target = metav1.MicroTime(metav1.Unix(1e9, 0))
		return
	case *metav1.Duration:
		target.Duration = 1e9
		return
	case *resource.Quantity:
		*target = resource.MustParse("1Gi")
		return
	case *intstr.IntOrString:
		*target = intstr.FromString("port")
		return
	case *metav1.FieldsV1:
		target.SetRawString(`{"` + freeName + `":{}}`)
		return
	case *runtime.RawExtension:
		target.Raw = []byte(`{"` + freeName + `":{}}`)
		return
	}
	if depth > 0 {
		f.kind(v, depth-1)
	}
}

func (f filler) kind(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				f.fill(v.Field(i), depth)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), depth)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		elem := reflect.New(v.Type().Elem()).Elem()
		f.fill(elem, depth)
		v.SetMapIndex(reflect.ValueOf(keyName).Convert(v.Type().Key()), elem)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.5)
	}
}

func (f filler) message(m protoreflect.Message, depth int) {
	md := m.Descriptor()
	switch md.FullName() {
	case "google.protobuf.Struct":
		fd := md.Fields().ByName("fields")
		m.Mutable(fd).Map().Mutable(protoreflect.ValueOfString(freeName).MapKey()).Message().
			Set(fd.MapValue().Message().Fields().ByName("string_value"), protoreflect.ValueOfString("x"))
		return
	case "google.protobuf.Duration", "google.protobuf.Timestamp":
		m.Set(md.Fields().ByName("seconds"), protoreflect.ValueOfInt64(1))
		return
	}
	if depth == 0 {
		return
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() && oneof.Fields().Get(f.choice%oneof.Fields().Len()) != fd {
			continue
		}
		f.field(m, fd, depth-1)
	}
}

func (f filler) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int) {
	switch {
	case fd.IsMap():
		if fd.MapKey().Kind() != protoreflect.StringKind {
			return // ports; the samples have them
		}
		value := m.Mutable(fd).Map().NewValue()
		if fd.MapValue().Message() != nil {
			f.message(value.Message(), depth)
		} else {
			value = f.scalar(fd.MapValue())
		}
		m.Mutable(fd).Map().Set(protoreflect.ValueOfString(keyName).MapKey(), value)
	case fd.IsList():
		list := m.Mutable(fd).List()
		if fd.Message() != nil {
			f.message(list.AppendMutable().Message(), depth)
		} else {
			list.Append(f.scalar(fd))
		}
	case fd.Message() != nil:
		f.message(m.Mutable(fd).Message(), depth)
	default:
		m.Set(fd, f.scalar(fd))
	}
}

func (f filler) scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("text")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("bytes"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(0.5)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(0.5)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(long)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(f.choice % values.Len()).Number())
	}
	return fd.Default()
}

// TestEveryFieldOfEveryKind: what the types' own encoders write of an object with all fields set has no problem.
func TestEveryFieldOfEveryKind(t *testing.T) {
	t.Parallel()
	cat, err := known()
	if err != nil {
		t.Fatal(err)
	}
	if len(cat.types) < 200 {
		t.Fatalf("only %d kinds are known", len(cat.types))
	}
	for gvk, typ := range cat.types {
		choices := 1
		if strings.HasSuffix(gvk.Group, "istio.io") {
			choices = 6
		}
		for choice := range choices {
			if got := Check(filler{choice}.object(t, gvk, typ)); got != nil {
				t.Errorf("%s: choice %d: %+v", gvk, choice, got[:min(3, len(got))])
			}
		}
	}
}

// TestEveryMistake misspells and mistypes each field of Istio's and Gateway API's kinds, one at a time: each gives one
// problem, at its own path.
func TestEveryMistake(t *testing.T) {
	t.Parallel()
	cat, err := known()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for gk, versions := range cat.versions {
		if !strings.HasSuffix(gk.Group, "istio.io") && gk.Group != "gateway.networking.k8s.io" {
			continue
		}
		gvk := gk.WithVersion(versions[0])
		for choice := range 2 {
			obj := filler{choice}.object(t, gvk, cat.types[gvk])
			if status, ok := obj["status"].(map[string]any); ok {
				delete(status, "supportedFeatures") // Gateway API reads these in two ways, and so skips unknown fields
			}
			eachField(obj, "", func(in map[string]any, name, path string) {
				tried++
				parent := strings.TrimSuffix(strings.TrimSuffix(path, name), ".")
				value := in[name]
				delete(in, name)
				in[name+"Qz"] = value
				oneProblem(t, gvk, obj, join(parent, name+"Qz"), `unknown field "`+name+`Qz"`)
				delete(in, name+"Qz")
				if free, ok := value.(map[string]any); !ok || free[freeName] == nil {
					in[name] = wrong(value)
					oneProblem(t, gvk, obj, path, "want ")
				}
				in[name] = value
			})
		}
	}
	if tried < 1000 {
		t.Errorf("only %d fields were tried", tried)
	}
}

// wrong is a value of a type that no field takes whose value is v.
func wrong(v any) any {
	if _, ok := v.(string); ok {
		return true
	}
	return "text"
}

func oneProblem(t *testing.T, gvk schema.GroupVersionKind, obj map[string]any, path, message string) {
	t.Helper()
	got := Check(obj)
	if len(got) != 1 || got[0].Path != path || !strings.HasPrefix(got[0].Message, message) {
		t.Errorf("%s: want one problem at %s: %s..., got %+v", gvk.Kind, path, message, got[:min(3, len(got))])
	}
}

// eachField calls visit for the fields of obj, not for the keys of maps and not for what lies in free-form values.
func eachField(v any, path string, visit func(in map[string]any, name, path string)) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			eachField(e, index(path, i), visit)
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			if name == freeName {
				return
			}
			if name != keyName {
				visit(v, name, join(path, name))
			}
			eachField(v[name], join(path, name), visit)
		}
	}
}
