package capture

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/plscript/plscript/runtime"
	objects "github.com/plscript/plscript/runtime/kinds"
)

// clean returns the object that raw describes, reduced to what istiod reads, or says why it has no place in a capture.
func clean(k *kind, raw map[string]any) (o runtime.Object, why string) {
	meta, _ := raw["metadata"].(map[string]any)
	if meta["deletionTimestamp"] != nil {
		return nil, "was being deleted"
	}
	next := map[string]any{"apiVersion": k.gvk().GroupVersion().String(), "kind": k.name, "metadata": metadata(k, meta)}
	if problems := objects.Check(identityOf(next)); len(problems) > 0 {
		return nil, problems[0].Path + " " + problems[0].Message
	}
	for key, v := range raw {
		if _, ok := next[key]; !ok {
			next[key] = v
		}
	}
	if k.isCore() {
		return cleanCore(k, next)
	}
	delete(next, "status")
	if status, ok := raw["status"].(map[string]any); ok && k.name == "ServiceEntry" && status["addresses"] != nil {
		next["status"] = map[string]any{"addresses": status["addresses"]} // those that istiod gave it
	}
	if problems := objects.Check(next); len(problems) > 0 {
		return nil, printable(strings.TrimSpace(problems[0].Path + ": " + problems[0].Message))
	}
	return &unstructured.Unstructured{Object: k8sruntime.DeepCopyJSON(next)}, ""
}

// identityOf is an object without its content.
func identityOf(o map[string]any) map[string]any {
	return map[string]any{"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": o["metadata"]}
}

// metadata keeps what names, marks and, for pods, owns an object.
func metadata(k *kind, meta map[string]any) map[string]any {
	out := map[string]any{"name": meta["name"]}
	if k.namespaced {
		out["namespace"] = corev1.NamespaceDefault
		if ns, ok := meta["namespace"]; ok && ns != "" && ns != nil {
			out["namespace"] = ns
		}
	}
	for _, key := range []string{"labels", "annotations"} {
		m, ok := meta[key].(map[string]any)
		if !ok {
			continue
		}
		kept := map[string]any{}
		for name, v := range m {
			if !isOfItsTime(name) {
				kept[name] = v
			}
		}
		if len(kept) > 0 {
			out[key] = kept
		}
	}
	if owners, ok := meta["ownerReferences"]; ok && k.name == "Pod" {
		out["ownerReferences"] = owners // istiod finds the workload by them (Istio pkg/kube/labels, WorkloadNameFromWorkloadEntry and others)
	}
	return out
}

// isOfItsTime reports whether a label or an annotation says something of one object at one time, and not of the
// configuration.
func isOfItsTime(key string) bool {
	switch key {
	case corev1.LastAppliedConfigAnnotation, corev1.LabelMetadataName, "kubernetes.io/config.mirror",
		corev1.EndpointsLastChangeTriggerTime,
		// By these istiod knows the machine that registered a WorkloadEntry, and removes it when it is not connected (Istio
		// pilot/pkg/autoregistration).
		"istio.io/workloadController", "istio.io/connectedAt", "istio.io/disconnectedAt":
		return true
	}
	return strings.HasPrefix(key, "plscript.dev/") && key != runtime.LabelRole
}

// cleanCore decodes an object of one of Kubernetes' own kinds. Fields that this version of it does not have are dropped.
func cleanCore(k *kind, raw map[string]any) (runtime.Object, string) {
	into, err := scheme.Scheme.New(k.gvk())
	if err != nil {
		return nil, err.Error()
	}
	o, ok := into.(runtime.Object)
	if !ok {
		return nil, fmt.Sprintf("is a %T, which has no name", into)
	}
	if err := k8sruntime.DefaultUnstructuredConverter.FromUnstructured(raw, o); err != nil {
		return nil, printable("cannot be decoded: " + err.Error())
	}
	switch o := o.(type) {
	case *corev1.Namespace:
		return cleanNamespace(o)
	case *corev1.Node:
		return cleanNode(o)
	case *corev1.ServiceAccount:
		return &corev1.ServiceAccount{TypeMeta: o.TypeMeta, ObjectMeta: o.ObjectMeta}, ""
	case *corev1.ConfigMap:
		return cleanConfigMap(o)
	case *corev1.Secret:
		return cleanSecret(o)
	case *corev1.Service:
		return cleanService(o)
	case *oldEndpoints:
		return o, ""
	case *discoveryv1.EndpointSlice:
		return o, ""
	case *corev1.Pod:
		return cleanPod(o)
	}
	dropStatus(o)
	return o, ""
}

// dropStatus empties the Status field of an object, if it has one.
func dropStatus(o runtime.Object) {
	if f := reflect.ValueOf(o).Elem().FieldByName("Status"); f.IsValid() {
		f.SetZero()
	}
}
