package runtime

import (
	"strconv"
	"strings"
)

// ConfigChange is a change of an object that proxies get as a part of their resources, and not as an address.
//
// What is looked for is text: the values of the object's string fields that were not there in its generation before. A field
// counts from when its value was seen in a proxy's resource; one that istiod turns into numbers, or into nothing, never
// does. A change of such fields alone is noticed by the part of the resource that came of the object being another.
type ConfigChange struct {
	Object ObjectKey
	Fields map[string]any // its scalar fields but metadata and status, by path, see [ScalarFields]; nil where it is removed
	// Audience selects the proxies that have to come to hold the object; nil leaves it open where it is new (then it has
	// arrived with the first), and to those that hold it where it is not.
	Audience func(Proxy) bool
}

// configKinds are the kinds of objects whose changes can be followed, by "group/kind".
var configKinds = map[string]ChangeKind{
	"networking.istio.io/VirtualService":    ChangeRoute,
	"gateway.networking.k8s.io/HTTPRoute":   ChangeRoute,
	"gateway.networking.k8s.io/GRPCRoute":   ChangeRoute,
	"networking.istio.io/DestinationRule":   ChangeCluster,
	"networking.istio.io/ServiceEntry":      ChangeCluster,
	"security.istio.io/AuthorizationPolicy": ChangePolicy,
}

// ConfigChangeKind returns the kind of change that a write of the object is, and false if it cannot be followed to the
// proxies.
func ConfigChangeKind(key ObjectKey) (ChangeKind, bool) {
	group, _, _ := strings.Cut(key.APIVersion, "/")
	kind, ok := configKinds[group+"/"+key.Kind]
	return kind, ok
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
