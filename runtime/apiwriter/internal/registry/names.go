package registry

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxRemembered bounds what [marks] remembers: the pods of a mesh share a few labels for each app.
const maxRemembered = 1 << 16

// valid reports whether the api-server would take the metadata of a new object.
func (k Kind) valid(obj Object) bool {
	var meta metav1.Object = obj
	known := good.have(obj)
	if known && len(obj.GetOwnerReferences())+len(obj.GetManagedFields()) == 0 && obj.GetGeneration() >= 0 {
		// Only where it is and what it is called is left, and nobody reads what is said about a wrong name.
		return len(k.name(obj.GetName(), false)) == 0 && obj.GetName() != "" && k.housed(obj.GetNamespace())
	}
	if known {
		// What is left is of this object alone.
		meta = &metav1.ObjectMeta{
			Name: obj.GetName(), Namespace: obj.GetNamespace(), OwnerReferences: obj.GetOwnerReferences(),
			Generation: obj.GetGeneration(), ManagedFields: obj.GetManagedFields(), DeletionGracePeriodSeconds: obj.GetDeletionGracePeriodSeconds(),
		}
	}
	if len(validation.ValidateObjectMetaAccessor(meta, k.Namespaced, k.name, nil)) > 0 {
		return false
	}
	if !known {
		good.remember(obj)
	}
	return true
}

// housed reports whether a new object may be in the namespace.
func (k Kind) housed(namespace string) bool {
	if !k.Namespaced {
		return namespace == ""
	}
	return namespace != "" && len(validation.ValidateNamespaceName(namespace, false)) == 0
}

// good are the labels and annotations' names that were valid on an object: matching their patterns is a fifth of what a
// pod costs, and the next pod has the same.
var good = marks{labels: map[[2]string]bool{}, annotations: map[string]bool{}}

type marks struct {
	mu          sync.RWMutex
	labels      map[[2]string]bool
	annotations map[string]bool
}

// have reports whether all labels and annotations of obj are known to be valid.
func (m *marks) have(obj Object) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for key, value := range obj.GetLabels() {
		if !m.labels[[2]string{key, value}] {
			return false
		}
	}
	size := 0
	for key, value := range obj.GetAnnotations() {
		if size += len(key) + len(value); size > validation.TotalAnnotationSizeLimitB || !m.annotations[key] {
			return false
		}
	}
	return true
}

// remember takes note of a valid object.
func (m *marks) remember(obj Object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.labels)+len(m.annotations) > maxRemembered {
		clear(m.labels)
		clear(m.annotations)
	}
	for key, value := range obj.GetLabels() {
		m.labels[[2]string{key, value}] = true
	}
	for key := range obj.GetAnnotations() {
		m.annotations[key] = true
	}
}
