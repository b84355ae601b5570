// Package registry says how an api-server stores the objects of built-in kinds: under which key, in which encoding, and
// with what its admission and its registry strategies have added by then. Defaults are left out, since an api-server
// sets them whenever it reads.
//
// What it does not know exactly it refuses with [ErrUnknown]: such an object has to go through the api-server.
package registry

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes/scheme"
)

// ErrUnknown is returned for what only the api-server knows how to judge or complete.
var ErrUnknown = errors.New("only the api-server knows how to store this")

// Object is an object of a built-in kind.
type Object interface {
	metav1.Object
	k8sruntime.Object
}

// Kind is a built-in kind that may be stored.
type Kind struct {
	GVK        schema.GroupVersionKind
	Resource   string
	Namespaced bool

	prefix string // of the keys, below /registry
	name   validation.ValidateNameFunc
}

// root is the api-server's default --etcd-prefix.
const root = "/registry/"

func kind(group, version, name, resource, prefix string, namespaced bool, valid validation.ValidateNameFunc) Kind {
	return Kind{
		GVK: schema.GroupVersionKind{Group: group, Version: version, Kind: name}, Resource: resource, Namespaced: namespaced,
		prefix: root + prefix, name: valid,
	}
}

// The kinds, with the keys of Kubernetes' pkg/registry (Node was once called minion, and Services share a folder with
// what used to be the allocators).
var (
	Namespace     = kind("", "v1", "Namespace", "namespaces", "namespaces/", false, validation.ValidateNamespaceName)
	Node          = kind("", "v1", "Node", "nodes", "minions/", false, validation.NameIsDNSSubdomain)
	Account       = kind("", "v1", "ServiceAccount", "serviceaccounts", "serviceaccounts/", true, validation.ValidateServiceAccountName)
	Pod           = kind("", "v1", "Pod", "pods", "pods/", true, validation.NameIsDNSSubdomain)
	Service       = kind("", "v1", "Service", "services", "services/specs/", true, validation.NameIsDNS1035Label)
	Lease         = kind("coordination.k8s.io", "v1", "Lease", "leases", "leases/", true, validation.NameIsDNSSubdomain)
	EndpointSlice = kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslices/", true, validation.NameIsDNSSubdomain)
	IPAddress     = kind("networking.k8s.io", "v1", "IPAddress", "ipaddresses", "ipaddresses/", false, validation.NameIsDNSSubdomain)
	ServiceCIDR   = kind("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", "servicecidrs/", false, validation.NameIsDNSSubdomain)
)

// KindOf returns the kind of that name, if its objects may be stored.
func KindOf(gvk schema.GroupVersionKind) (Kind, bool) {
	for _, k := range []Kind{Pod, EndpointSlice, Service, Lease, Account, Node, Namespace} {
		if k.GVK == gvk {
			return k, true
		}
	}
	return Kind{}, false
}

// Key is where the object of that namespace ("" for what has none) and name is stored.
func (k Kind) Key(namespace, name string) string {
	if k.Namespaced {
		return k.prefix + namespace + "/" + name
	}
	return k.prefix + name
}

// codec reads "k8s\0" and a protobuf runtime.Unknown, which [Kind.Append] writes.
var codec = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)

// Decode reads a stored object into obj.
func Decode(raw []byte, obj Object) error {
	if _, _, err := codec.Decode(raw, nil, obj); err != nil {
		return fmt.Errorf("decode a stored object: %w", err)
	}
	return nil
}

// New gives a new object its identity, as rest.BeforeCreate does, after checking what it is called and labelled.
func (k Kind) New(obj Object, now time.Time) error {
	switch {
	case obj.GetGenerateName() != "", obj.GetUID() != "", len(obj.GetFinalizers()) > 0, obj.GetDeletionTimestamp() != nil:
		return ErrUnknown
	}
	if !k.valid(obj) {
		return ErrUnknown // the api-server says it better
	}
	obj.SetUID(uuid.NewUUID())
	obj.SetCreationTimestamp(metav1.NewTime(now.Truncate(time.Second)))
	return nil
}

// Identity is what tells whether a stored object may be deleted.
type Identity struct {
	UID      types.UID
	Labels   map[string]string
	Held     bool // by a finalizer
	Deleting bool // was deleted, and waits for a finalizer or the end of its grace period
}

// IdentityOf reads the identity of a stored object.
func (k Kind) IdentityOf(raw []byte) (Identity, error) {
	into, err := scheme.Scheme.New(k.GVK)
	if err != nil {
		return Identity{}, err
	}
	obj, ok := into.(Object)
	if !ok {
		return Identity{}, fmt.Errorf("%T: %w", into, ErrUnknown)
	}
	if err := Decode(raw, obj); err != nil {
		return Identity{}, err
	}
	return Identity{
		UID: obj.GetUID(), Labels: obj.GetLabels(), Held: len(obj.GetFinalizers()) > 0, Deleting: obj.GetDeletionTimestamp() != nil,
	}, nil
}

// Restricted reports whether the pod security standards apply in the Namespace (k8s.io/pod-security-admission), which
// nothing here checks.
func Restricted(ns *corev1.Namespace) bool {
	for key := range ns.Labels {
		if strings.HasPrefix(key, "pod-security.kubernetes.io/") {
			return true
		}
	}
	return false
}

// Active reports whether a Namespace takes new objects (Kubernetes, plugin/pkg/admission/namespace/lifecycle).
func Active(ns *corev1.Namespace) bool {
	return ns.DeletionTimestamp == nil && ns.Status.Phase != corev1.NamespaceTerminating
}
