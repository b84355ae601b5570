package runtime

import (
	"strconv"
	"strings"
)

// ConfigChange is a change of an object that proxies get as a part of their resources, and not as an address.
//
// What is looked for is text: the values of the object's string fields that were not there in its generation before. A field
// counts from when its value was seen in a proxy's resource; one that istiod turns into numbers, or into nothing, never
// does. A change of such fields alone is noticed by the part of the resource that came of the object being another. Where
// resources do not name the object, that part is what objects of its kind shape.
type ConfigChange struct {
	Object ObjectKey
	Fields map[string]any // its scalar fields but metadata and status, by path, see [ScalarFields]; nil where it is removed
	// Audience selects the proxies that have to come to hold the object; nil leaves it open where it is new (then it has
	// arrived with the first), and to those that hold it where it is not.
	Audience func(Proxy) bool
}

// configKinds are the kinds of objects whose changes are followed, by "group/kind". What has to arrive of each is told in
// docs/proxies.md. Of a ProxyConfig nothing ever does: proxies get it with their bootstrap, when their pods start (Istio
// pilot/pkg/xds skippedLdsConfigs, skippedCdsConfigs), so that each change of one counts as unobserved.
var configKinds = map[string]ChangeKind{
	"networking.istio.io/VirtualService":       ChangeRoute,
	"gateway.networking.k8s.io/HTTPRoute":      ChangeRoute,
	"gateway.networking.k8s.io/GRPCRoute":      ChangeRoute,
	"gateway.networking.k8s.io/TLSRoute":       ChangeRoute,
	"gateway.networking.k8s.io/TCPRoute":       ChangeRoute,
	"gateway.networking.k8s.io/ReferenceGrant": ChangeRoute,
	"networking.istio.io/DestinationRule":      ChangeCluster,
	"networking.istio.io/ServiceEntry":         ChangeCluster,
	"networking.istio.io/Sidecar":              ChangeCluster,
	"/Service":                                 ChangeCluster,
	"security.istio.io/AuthorizationPolicy":    ChangePolicy,
	"security.istio.io/PeerAuthentication":     ChangePolicy,
	"security.istio.io/RequestAuthentication":  ChangePolicy,
	"networking.istio.io/Gateway":              ChangeListener,
	"gateway.networking.k8s.io/Gateway":        ChangeListener,
	"networking.istio.io/EnvoyFilter":          ChangeListener,
	"networking.istio.io/ProxyConfig":          ChangeListener,
	"telemetry.istio.io/Telemetry":             ChangeListener,
	"extensions.istio.io/WasmPlugin":           ChangeListener,
	"extensions.istio.io/TrafficExtension":     ChangeListener,
}

// ConfigChangeKind returns the kind of change that a write of the object is, and false if it is not followed to the
// proxies.
func ConfigChangeKind(key ObjectKey) (ChangeKind, bool) {
	kind, ok := configKinds[key.GroupKind()]
	return kind, ok
}

// GroupKind names the kind of the object, whatever its version: "networking.istio.io/Gateway", "/Service".
func (k ObjectKey) GroupKind() string {
	group, _, ok := strings.Cut(k.APIVersion, "/")
	if !ok {
		group = ""
	}
	return group + "/" + k.Kind
}

// NamespaceRemoval is the change that the deletion of a namespace is. It has arrived at a proxy that holds no cluster of
// the namespace's services. Changes of what is in the namespace that are still on their way end with it.
func NamespaceRemoval(name string) Change {
	return Change{Kind: ChangeCluster, Removed: true, Config: &ConfigChange{
		Object: ObjectKey{APIVersion: "v1", Kind: "Namespace", Name: name},
	}}
}

// ScalarFields returns the scalar fields of an object as JSON would hold it, by path ("spec.http[0].name"), without
// metadata, status and what says its kind.
func ScalarFields(object map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range object {
		switch name {
		case "apiVersion", "kind", "metadata", "status":
		default:
			addScalars(out, name, v)
		}
	}
	return out
}

func addScalars(out map[string]any, path string, v any) {
	switch x := v.(type) {
	case map[string]any:
		for name, v := range x {
			addScalars(out, path+"."+name, v)
		}
	case []any:
		for i, v := range x {
			addScalars(out, path+"["+strconv.Itoa(i)+"]", v)
		}
	case nil:
	default:
		out[path] = v
	}
}
