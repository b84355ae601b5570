package registry

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// magic begins every stored object that is not JSON (k8s.io/apimachinery, pkg/runtime/serializer/protobuf).
const magic = "k8s\x00"

// Fields of runtime.Unknown and runtime.TypeMeta (k8s.io/apimachinery, pkg/runtime/generated.proto).
const (
	unknownType, unknownRaw, unknownEncoding, unknownContent = 1, 2, 3, 4
	typeVersion, typeKind                                    = 1, 2
)

// message is what every Go type of a built-in kind can do.
type message interface {
	Size() int
	MarshalToSizedBuffer(b []byte) (int, error)
}

// Append appends obj as it is stored, for --storage-media-type application/vnd.kubernetes.protobuf, the api-server's default:
// its kind, and its message without the resourceVersion, in a runtime.Unknown. It is what the serializer of
// k8s.io/apimachinery writes, in the caller's buffer: a load of pods is made of such values.
func (k Kind) Append(b []byte, obj Object) ([]byte, error) {
	m, ok := obj.(message)
	if !ok {
		return b, fmt.Errorf("encode %s %s: %T is no protobuf message", k.GVK.Kind, obj.GetName(), obj)
	}
	if version := obj.GetResourceVersion(); version != "" {
		obj.SetResourceVersion("")
		defer obj.SetResourceVersion(version)
	}
	b = k.appendType(append(b, magic...))
	size := m.Size()
	b = protowire.AppendVarint(protowire.AppendTag(b, unknownRaw, protowire.BytesType), uint64(size))
	start := len(b)
	b = slices.Grow(b, size)[:start+size]
	switch n, err := m.MarshalToSizedBuffer(b[start:]); {
	case err != nil:
		return b, fmt.Errorf("encode %s %s: %w", k.GVK.Kind, obj.GetName(), err)
	case n != size:
		return b, fmt.Errorf("encode %s %s: %d bytes instead of %d", k.GVK.Kind, obj.GetName(), n, size)
	}
	// Both are empty, and there.
	b = protowire.AppendVarint(protowire.AppendTag(b, unknownEncoding, protowire.BytesType), 0)
	return protowire.AppendVarint(protowire.AppendTag(b, unknownContent, protowire.BytesType), 0), nil
}

// appendType appends the kind's runtime.TypeMeta.
func (k Kind) appendType(b []byte) []byte {
	version := len(k.GVK.Version)
	if k.GVK.Group != "" {
		version += len(k.GVK.Group) + len("/")
	}
	size := protowire.SizeTag(typeVersion) + protowire.SizeBytes(version) + protowire.SizeTag(typeKind) + protowire.SizeBytes(len(k.GVK.Kind))
	b = protowire.AppendVarint(protowire.AppendTag(b, unknownType, protowire.BytesType), uint64(size))
	b = protowire.AppendVarint(protowire.AppendTag(b, typeVersion, protowire.BytesType), uint64(version))
	if k.GVK.Group != "" {
		b = append(append(b, k.GVK.Group...), '/')
	}
	b = append(b, k.GVK.Version...)
	return protowire.AppendString(protowire.AppendTag(b, typeKind, protowire.BytesType), k.GVK.Kind)
}
