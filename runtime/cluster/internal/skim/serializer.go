package skim

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Serializer returns base with another decoder for what watches and lists of Pods bring in protobuf. Such Pods are to be
// read only: those with the same labels share them. A single Pod that is asked for is whole.
func Serializer(base runtime.NegotiatedSerializer) runtime.NegotiatedSerializer {
	return &negotiated{base, &pods{labels: labelSets{most: maxLabelSets}}}
}

type negotiated struct {
	runtime.NegotiatedSerializer
	pods *pods
}

// SupportedMediaTypes implements [runtime.NegotiatedSerializer].
func (n *negotiated) SupportedMediaTypes() []runtime.SerializerInfo {
	infos := slices.Clone(n.NegotiatedSerializer.SupportedMediaTypes())
	for i := range infos {
		info := &infos[i]
		if info.MediaType != runtime.ContentTypeProtobuf || info.StreamSerializer == nil {
			continue
		}
		stream := *info.StreamSerializer
		stream.Serializer, stream.Framer = &events{stream.Serializer}, framer{stream.Framer}
		info.Serializer, info.StreamSerializer = &objects{info.Serializer, n.pods}, &stream
	}
	return infos
}

// framer reads ahead of the frames that it cuts: each Read of a response takes locks that are shared with all others of the
// connection, and there would be two for each event.
type framer struct{ runtime.Framer }

func (f framer) NewFrameReader(r io.ReadCloser) io.ReadCloser {
	return f.Framer.NewFrameReader(&readAhead{bufio.NewReaderSize(r, 32<<10), r})
}

type readAhead struct {
	io.Reader
	io.Closer
}

// events decodes the frames of watches. The object in an event is not copied: whoever asks for events decodes it before he
// asks for the next one (k8s.io/client-go/rest/watch, Decoder.Decode), which will be read into the same memory.
type events struct{ runtime.Serializer }

// The fields of a WatchEvent (k8s.io/apimachinery/pkg/apis/meta/v1, generated.proto) and of the RawExtension in it.
const eventType, eventObject, extensionRaw = 1, 2, 1

func (d *events) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	event, ok := into.(*metav1.WatchEvent)
	typ, raw := find(data, eventType), find(data, eventObject, extensionRaw)
	if !ok || len(typ) == 0 || len(raw) == 0 {
		return d.Serializer.Decode(data, defaults, into)
	}
	event.Type, event.Object.Raw = string(typ), raw
	return event, defaults, nil
}

// free are pods that nobody uses any more, all of them empty. The Go type of a pod is a kilobyte, nearly all of it of what
// is not in use: without them it would be most of what a watch of a large mesh allocates.
var free = sync.Pool{New: func() any { return &corev1.Pod{} }}

// Free has the memory of a pod that came with an event used for another; the caller must not look at it again. What the pod
// refers to, its strings and labels, may be kept. A pod that is still to be started is left alone: all of it may be kept.
func Free(p *corev1.Pod) {
	if isPending(p.Status.Phase) {
		return
	}
	*p = corev1.Pod{}
	free.Put(p)
}

// objects decodes what is in the events, and lists.
type objects struct {
	runtime.Serializer
	pods *pods
}

func (d *objects) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	kind, raw := open(data)
	switch list, ok := into.(*corev1.PodList); {
	case into == nil && kind == podKind:
		p := free.Get().(*corev1.Pod)
		return p, &kind, d.pods.decode(raw, p)
	case ok && kind == podListKind:
		return list, &kind, d.pods.decodeList(raw, list)
	}
	return d.Serializer.Decode(data, defaults, into)
}

var (
	podKind     = corev1.SchemeGroupVersion.WithKind("Pod")
	podListKind = corev1.SchemeGroupVersion.WithKind("PodList")
	// magic begins every object in Kubernetes' protobuf encoding; an Unknown follows (k8s.io/apimachinery/pkg/runtime,
	// generated.proto).
	magic = []byte("k8s\x00")
)

// The fields of an Unknown, and of the TypeMeta in it.
const unknownType, unknownRaw, unknownEncoding, typeVersion, typeKind = 1, 2, 3, 1, 2

// open is what an encoded object says of its kind, and its own encoding; no kind if it is none that is decoded here, or
// broken.
func open(data []byte) (kind schema.GroupVersionKind, raw []byte) {
	body, ok := bytes.CutPrefix(data, magic)
	if !ok {
		return kind, nil
	}
	var typ, encoding []byte
	for len(body) > 0 {
		f, err := next(body)
		if err != nil {
			return kind, nil
		}
		switch body = body[len(f.all):]; f.num {
		case unknownType:
			typ = f.body
		case unknownRaw:
			raw = f.body
		case unknownEncoding:
			encoding = f.body
		}
	}
	if string(find(typ, typeVersion)) != podKind.Version || len(encoding) > 0 {
		return kind, nil
	}
	switch string(find(typ, typeKind)) {
	case podKind.Kind:
		kind = podKind
	case podListKind.Kind:
		kind = podListKind
	}
	return kind, raw
}
