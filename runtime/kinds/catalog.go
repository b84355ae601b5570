package kinds

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	extensionsv1alpha1 "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	networkingv1beta1 "istio.io/client-go/pkg/apis/networking/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	securityv1beta1 "istio.io/client-go/pkg/apis/security/v1beta1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	telemetryv1alpha1 "istio.io/client-go/pkg/apis/telemetry/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1alpha2 "sigs.k8s.io/gateway-api/apis/v1alpha2"
	gatewayv1alpha3 "sigs.k8s.io/gateway-api/apis/v1alpha3"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	gatewayxv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"
)

// catalog holds the known kinds: those of which objects can be stored, so not lists, options and the like.
type catalog struct {
	types    map[schema.GroupVersionKind]reflect.Type
	kinds    map[schema.GroupVersion][]string // of a version, sorted
	versions map[schema.GroupKind][]string    // of a kind, the stable one first
	groups   map[string][]schema.GroupVersion // of a group, in the same order
	homes    map[string][]string              // the groups that have a kind of this name, sorted
}

// known is made when it is first asked for: it takes milliseconds, which most commands need not spend.
var known = sync.OnceValues(newCatalog)

func newCatalog() (*catalog, error) {
	own := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		networkingv1.AddToScheme, networkingv1beta1.AddToScheme, networkingv1alpha3.AddToScheme,
		securityv1.AddToScheme, securityv1beta1.AddToScheme,
		telemetryv1.AddToScheme, telemetryv1alpha1.AddToScheme,
		extensionsv1alpha1.AddToScheme,
		gatewayv1.Install, gatewayv1beta1.Install, gatewayv1alpha2.Install, gatewayv1alpha3.Install, gatewayxv1alpha1.Install,
	} {
		if err := add(own); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	c := &catalog{
		types:    map[schema.GroupVersionKind]reflect.Type{},
		kinds:    map[schema.GroupVersion][]string{},
		versions: map[schema.GroupKind][]string{},
		groups:   map[string][]schema.GroupVersion{},
		homes:    map[string][]string{},
	}
	c.add(scheme.Scheme)
	c.add(own)
	c.index()
	return c, nil
}

func (c *catalog) add(s *runtime.Scheme) {
	object := reflect.TypeFor[metav1.Object]()
	for gvk, typ := range s.AllKnownTypes() {
		if gvk.Version != runtime.APIVersionInternal && reflect.PointerTo(typ).Implements(object) {
			c.types[gvk] = typ
		}
	}
}

func (c *catalog) index() {
	for gvk := range c.types {
		gv, gk := gvk.GroupVersion(), gvk.GroupKind()
		if c.kinds[gv] == nil {
			c.groups[gv.Group] = append(c.groups[gv.Group], gv)
		}
		c.kinds[gv] = append(c.kinds[gv], gvk.Kind)
		if c.versions[gk] == nil {
			c.homes[gvk.Kind] = append(c.homes[gvk.Kind], gvk.Group)
		}
		c.versions[gk] = append(c.versions[gk], gvk.Version)
	}
	for _, names := range c.kinds {
		slices.Sort(names)
	}
	for _, names := range c.homes {
		slices.Sort(names)
	}
	newerFirst := func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) }
	for _, names := range c.versions {
		slices.SortFunc(names, newerFirst)
	}
	for _, gvs := range c.groups {
		slices.SortFunc(gvs, func(a, b schema.GroupVersion) int { return newerFirst(a.Version, b.Version) })
	}
}

// Known reports whether Check knows the fields of this kind.
func Known(apiVersion, kind string) bool {
	c, err := known()
	if err != nil {
		return false
	}
	_, ok := c.types[schema.FromAPIVersionAndKind(apiVersion, kind)]
	return ok
}

// Near returns what was probably meant by a kind that is not known: another kind if it is the kind that is wrong
// ("VirtualService" for "VirtualServce"), else another apiVersion ("networking.istio.io/v1alpha3" for an EnvoyFilter of
// "networking.istio.io/v1"), and "" for kinds that are known or near to none.
func Near(apiVersion, kind string) string {
	c, err := known()
	if err != nil {
		return ""
	}
	for _, f := range c.doubts(apiVersion, kind) {
		if f.Suggestion != "" {
			return f.Suggestion
		}
	}
	return ""
}
