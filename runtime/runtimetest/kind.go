package runtimetest

import (
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/plscript/plscript/runtime"
)

// Kind returns the kind of an object, typed or not.
func Kind(o runtime.Object) string {
	if k := o.GetObjectKind().GroupVersionKind().Kind; k != "" {
		return k
	}
	gvks, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil || len(gvks) == 0 {
		return "unknown"
	}
	return gvks[0].Kind
}
