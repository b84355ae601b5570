package apiwriter

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/plscript/plscript/runtime"
)

// objectID names an object over all versions of its kind. It is the unit of ordering.
type objectID struct {
	group, kind, namespace, name string
}

func (id objectID) String() string {
	kind := id.kind
	if id.group != "" {
		kind += "." + id.group
	}
	if id.namespace == "" {
		return kind + " " + id.name
	}
	return kind + " " + id.namespace + "/" + id.name
}

// target is what a write is about.
type target struct {
	id      objectID
	version string
	typed   bool // a built-in kind: the object is a Go type of the Kubernetes scheme and travels as protobuf
	built   bool // it was submitted as that Go type: plscript built it, and not a template of the user's
}

func (t target) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: t.id.group, Version: t.version, Kind: t.id.kind}
}

// prepare names the target of op and makes op.Object fit for its verb: an unstructured object of a built-in kind
// becomes typed, and what is created or replaced carries the run label.
func prepare(op *runtime.Op, runID string) (target, error) {
	if op.Object == nil {
		return target{}, permanent{fmt.Errorf("%s without an object", op.Verb)}
	}
	gvk, err := kindOf(op.Object)
	if err != nil {
		return target{}, permanent{err}
	}
	t := target{
		id:      objectID{gvk.Group, gvk.Kind, op.Object.GetNamespace(), op.Object.GetName()},
		version: gvk.Version,
		typed:   scheme.Scheme.Recognizes(gvk),
	}
	if _, rendered := op.Object.(*unstructured.Unstructured); !rendered {
		t.built = t.typed
	}
	switch op.Verb {
	case runtime.VerbDelete, runtime.VerbFinalize:
		return t, nil
	case runtime.VerbCreate, runtime.VerbUpdate, runtime.VerbStatus:
	default:
		return t, permanent{fmt.Errorf("unknown verb %q", op.Verb)}
	}
	if t.id.name == "" {
		return t, permanent{fmt.Errorf("%s of a %s without a name", op.Verb, gvk.Kind)}
	}
	if op.Object, err = fitting(op.Object, gvk, t.typed); err != nil {
		return t, permanent{fmt.Errorf("%s: %w", t.id, err)}
	}
	if op.Priority != runtime.PriorityControl || op.Verb == runtime.VerbCreate {
		setRunLabel(op.Object, runID)
	}
	return t, nil
}

// kindOf is the kind that the object says it has, or that its Go type stands for.
func kindOf(obj runtime.Object) (schema.GroupVersionKind, error) {
	if gvk := obj.GetObjectKind().GroupVersionKind(); gvk.Kind != "" && gvk.Version != "" {
		return gvk, nil
	}
	gvks, _, err := scheme.Scheme.ObjectKinds(obj)
	if err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("%T has no apiVersion and kind: %w", obj, err)
	}
	return gvks[0], nil
}

// fitting converts obj to the form that is sent: a Go type of the scheme for a built-in kind, else unstructured. A
// field that a built-in kind does not have is an error, as it would be lost in silence.
func fitting(obj runtime.Object, gvk schema.GroupVersionKind, typed bool) (runtime.Object, error) {
	u, isUnstructured := obj.(*unstructured.Unstructured)
	switch {
	case typed && isUnstructured:
		into, err := scheme.Scheme.New(gvk)
		if err != nil {
			return nil, err
		}
		if err := k8sruntime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, into, true); err != nil {
			return nil, err
		}
		out, ok := into.(runtime.Object)
		if !ok {
			return nil, fmt.Errorf("%T is not an object", into)
		}
		return out, nil
	case !typed && !isUnstructured:
		content, err := k8sruntime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			return nil, err
		}
		out := &unstructured.Unstructured{Object: content}
		out.SetGroupVersionKind(gvk)
		return out, nil
	}
	return obj, nil
}

// setRunLabel labels obj without writing to its label map, which many objects may share.
func setRunLabel(obj runtime.Object, runID string) {
	labels := obj.GetLabels()
	if labels[runtime.LabelRun] == runID {
		return
	}
	own := make(map[string]string, len(labels)+1)
	maps.Copy(own, labels)
	own[runtime.LabelRun] = runID
	obj.SetLabels(own)
}
