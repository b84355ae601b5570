package xdspool

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/plscript/plscript/runtime"
)

// A region is what objects of a kind shape in the configuration of proxies, where resources do not name the object. Which of
// several objects did it cannot be seen there; what is known is whom istiod gives them to, and that it is another than before.
type region struct {
	parts    []part
	classes  []runtime.ProxyClass
	selector string                 // the path of the labels that select its proxies, "" for a kind without
	global   bool                   // selects proxies in any namespace
	text     func(path string) bool // whether the texts of a field come out word for word
}

// part is an aspect of the resources of a type.
type part struct {
	typ    typ
	aspect aspect
}

// rootNamespace is where objects are the whole mesh's (Istio pkg/config/mesh DefaultMeshConfig, rootNamespace).
const rootNamespace = "istio-system"

// envoys are the classes that have listeners.
var envoys = []runtime.ProxyClass{runtime.ClassSidecar, runtime.ClassGateway, runtime.ClassWaypoint}

// gatewayParts are what a Gateway of either API makes (Istio pilot/pkg/networking/core BuildListeners of a router, and
// buildGatewayHTTPRouteConfig): listeners and route configurations for its ports, filter chains for its hosts with TLS, and a
// virtual host for each of its hosts that has routes.
var gatewayParts = []part{{lds, aspectNames}, {lds, aspectChains}, {rds, aspectNames}, {rds, aspectDomains}}

// regions are those of the kinds that resources do not name.
var regions = map[string]region{
	// Istio pilot/pkg/networking/core buildInboundListeners, with the modes of pilot/pkg/security/authn ComposePeerAuthentication.
	"security.istio.io/PeerAuthentication": {
		parts: []part{{lds, aspectInbound}}, classes: []runtime.ProxyClass{runtime.ClassSidecar},
		selector: "spec.selector.matchLabels.", text: nowhere,
	},
	// Istio pilot/pkg/security/authn convertToEnvoyJwtConfig.
	"security.istio.io/RequestAuthentication": {
		parts: []part{{lds, aspectJWT}}, classes: envoys, selector: "spec.selector.matchLabels.", text: below("spec.jwtRules["),
	},
	// Istio pilot/pkg/model/telemetry.go Telemetries; pilot/pkg/networking/core accesslog.go, tracing.go.
	"telemetry.istio.io/Telemetry": {
		parts: []part{{lds, aspectTelemetry}}, classes: envoys, selector: "spec.selector.matchLabels.",
		text: func(path string) bool {
			return strings.HasSuffix(path, ".filter.expression") || strings.Contains(path, "].customTags.") ||
				strings.Contains(path, "].tagOverrides.")
		},
	},
	// Istio pilot/pkg/networking/core/envoyfilter: the parts are those that applyTo says, see patched.
	"networking.istio.io/EnvoyFilter": {
		parts: []part{{lds, aspectAll}}, classes: envoys, selector: "spec.workloadSelector.labels.",
		text: func(path string) bool {
			return strings.Contains(path, "].patch.value.") && !strings.HasSuffix(path, ".@type")
		},
	},
	// Istio pilot/pkg/model/sidecar.go convertToSidecarScope: which services a proxy knows, and what becomes of other traffic.
	"networking.istio.io/Sidecar": {
		parts:   []part{{cds, aspectNames}, {lds, aspectNames}, {lds, aspectOutbound}},
		classes: []runtime.ProxyClass{runtime.ClassSidecar}, selector: "spec.workloadSelector.labels.", text: nowhere,
	},
	"networking.istio.io/Gateway": {
		parts: gatewayParts, classes: []runtime.ProxyClass{runtime.ClassGateway}, selector: "spec.selector.", global: true,
		text: below("spec.servers["),
	},
	// Istio pilot/pkg/config/kube/gateway. Which proxies serve it, its class, its name or its addresses say.
	"gateway.networking.k8s.io/Gateway": {
		parts: gatewayParts, classes: []runtime.ProxyClass{runtime.ClassGateway, runtime.ClassWaypoint}, global: true,
		text: below("spec.listeners["),
	},
	// Istio pilot/pkg/networking/core buildGatewayNetworkFiltersFromTLSRoutes, which leaves no metadata.
	"gateway.networking.k8s.io/TLSRoute": {
		parts: []part{{lds, aspectChains}, {lds, aspectAll}}, classes: []runtime.ProxyClass{runtime.ClassGateway}, global: true,
		text: below("spec.hostnames["),
	},
	"gateway.networking.k8s.io/TCPRoute": {
		parts: []part{{lds, aspectAll}}, classes: []runtime.ProxyClass{runtime.ClassGateway}, global: true, text: nowhere,
	},
	// Istio pilot/pkg/config/kube/gateway ReferenceGrants: a route to a backend that was refused, or is.
	"gateway.networking.k8s.io/ReferenceGrant": {
		parts: []part{{rds, aspectAll}}, classes: []runtime.ProxyClass{runtime.ClassGateway}, global: true, text: nowhere,
	},
}

func nowhere(string) bool { return false }

func below(prefix string) func(string) bool {
	return func(path string) bool { return strings.HasPrefix(path, prefix) }
}

// regionOf returns the region of an object, and false if resources name it.
func regionOf(c *runtime.ConfigChange) (region, bool) {
	r, ok := regions[c.Object.GroupKind()]
	if ok && c.Object.Kind == "EnvoyFilter" {
		r.parts = patched(c.Fields)
	}
	return r, ok
}

// patched are the parts that an EnvoyFilter changes (Istio api networking/v1alpha3 EnvoyFilter_ApplyTo).
func patched(fields map[string]any) []part {
	var out []part
	for path, v := range fields {
		if !strings.HasSuffix(path, "].applyTo") {
			continue
		}
		t := lds
		switch v {
		case "CLUSTER":
			t = cds
		case "ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE":
			t = rds
		case "EXTENSION_CONFIG":
			t = ecds
		case "BOOTSTRAP":
			continue // no resource has it
		}
		if p := (part{t, aspectAll}); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// covers reports whether istiod gives an object with these fields to a proxy, as far as they say: there may be reasons
// why it does not.
func (r *region) covers(key runtime.ObjectKey, fields map[string]any, p runtime.Proxy) bool {
	if !slices.Contains(r.classes, p.Class) {
		return false
	}
	if targeted(fields) { // a waypoint serves other namespaces, too
		return p.Class == runtime.ClassWaypoint || p.Class == runtime.ClassGateway && p.Namespace == key.Namespace
	}
	if class, ok := fields["spec.gatewayClassName"]; ok && (p.Class == runtime.ClassWaypoint) != (class == "istio-waypoint") {
		return false
	}
	if !r.global && p.Namespace != key.Namespace && key.Namespace != rootNamespace {
		return false
	}
	if r.selector == "" {
		return true
	}
	for path, v := range fields {
		if label, ok := strings.CutPrefix(path, r.selector); ok && p.Labels[label] != v {
			return false
		}
	}
	return true
}

func targeted(fields map[string]any) bool {
	for path := range fields {
		if strings.HasPrefix(path, "spec.targetRef") {
			return true
		}
	}
	return false
}

// last is the type whose response, of those of one push, is the last that may show the region (Istio pilot/pkg/xds
// PushOrder). RDS is not: istiod sends none where no listener wants routes.
func last(parts []part) typ {
	out := parts[0].typ
	for _, p := range parts {
		if p.typ == lds || p.typ == ecds && out != lds {
			out = p.typ
		}
	}
	return out
}

// print hashes the parts of what c holds.
func (c *client) print(s *store, parts []part) uint64 {
	var sum uint64
	for _, p := range parts {
		sum = sum*31 + s.print(c.types[p.typ].table, p.aspect)
	}
	return sum
}

// print hashes an aspect of a table. It is the same for all that hold it, and so is done once.
func (s *store) print(t *table, a aspect) uint64 {
	if sum, ok := t.prints[a]; ok {
		return sum
	}
	var sum uint64
	switch a {
	case aspectAll, aspectNames:
		for _, e := range t.entries {
			if e.content == 0 {
				continue
			}
			h := xxhash.Sum64String(s.names[e.name].key.name)
			if a == aspectAll {
				h = h*31 + s.contents[e.content].key.sum
			}
			sum += h
		}
	default:
		sum = s.marks(t, a)
	}
	if t.prints == nil {
		t.prints = map[aspect]uint64{}
	}
	t.prints[a] = sum
	return sum
}

// marks adds up the marks of an aspect in a table, each once.
func (s *store) marks(t *table, a aspect) uint64 {
	seen := map[mark]bool{}
	var sum uint64
	for _, e := range t.entries {
		for _, m := range s.contents[e.content].marks {
			if m.aspect() == a && !seen[m] {
				seen[m] = true
				sum += uint64(m)
			}
		}
	}
	return sum
}
