package runtimetest

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/plscript/plscript/runtime"
)

// GroupKind returns the group and kind of an object, typed or not; empty for a type that is not Kubernetes'.
func GroupKind(o runtime.Object) schema.GroupKind {
	if gvk := o.GetObjectKind().GroupVersionKind(); gvk.Kind != "" {
		return gvk.GroupKind()
	}
	gvks, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil || len(gvks) == 0 {
		return schema.GroupKind{}
	}
	return gvks[0].GroupKind()
}
