package kinds

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/plscript/plscript/lang/ir"
)

// identity finds the kind of obj and its type; the type is nil if the kind is not known.
func (c *checker) identity(obj map[string]any) (schema.GroupVersionKind, reflect.Type) {
	apiVersion, ok1 := c.requiredText(obj, "apiVersion")
	kind, ok2 := c.requiredText(obj, "kind")
	if !ok1 || !ok2 {
		return schema.GroupVersionKind{Kind: kind}, nil
	}
	cat, err := known()
	if err != nil {
		c.add(ir.CodeInternal, "kind", err.Error())
		return schema.GroupVersionKind{Kind: kind}, nil
	}
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	typ := cat.types[gvk]
	if typ == nil {
		c.found = append(c.found, cat.doubts(apiVersion, kind)...)
	}
	return gvk, typ
}

func (c *checker) requiredText(obj map[string]any, name string) (string, bool) {
	if !c.required(obj, "", name) {
		return "", false
	}
	s, ok := obj[name].(string)
	if !ok {
		c.mismatch(name, "a string", obj[name])
	} else if s == "" {
		c.add(ir.CodeValue, name, "must not be empty")
	}
	return s, s != ""
}

// doubts says what is wrong with a kind that is not known, nothing if it may well exist.
func (c *catalog) doubts(apiVersion, kind string) []finding {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || apiVersion == "" {
		return []finding{doubt("apiVersion", show(apiVersion)+` is not an apiVersion: want a version or group/version, like "v1" or "apps/v1"`, "")}
	}
	gk := schema.GroupKind{Group: gv.Group, Kind: kind}
	switch {
	case c.types[gv.WithKind(kind)] != nil:
		return nil
	case c.kinds[gv] != nil:
		return []finding{c.noSuchKind(gv, kind)}
	case c.groups[gv.Group] == nil || gv.Group == "" && strings.Contains(gv.Version, "."):
		return c.strangeGroup(apiVersion, gv, kind)
	}
	found := []finding{doubt("apiVersion", "unknown apiVersion "+show(apiVersion), c.otherVersion(gk, gv.Group))}
	if c.versions[gk] == nil {
		if near := nearest(kind, c.kindsOf(gv.Group)); near != "" {
			found = append(found, doubt("kind", groupName(gv.Group)+" has no kind "+show(kind), near))
		}
	}
	return found
}

// noSuchKind explains a kind that a known version of a group does not have. If the name is right, it is the apiVersion
// that is wrong.
func (c *catalog) noSuchKind(gv schema.GroupVersion, kind string) finding {
	message := gv.String() + " has no kind " + show(kind)
	if versions := c.versions[schema.GroupKind{Group: gv.Group, Kind: kind}]; versions != nil {
		return doubt("apiVersion", message, apiVersionOf(gv.Group, versions[0]))
	}
	switch homes := c.stableHomes(kind); {
	case len(homes) == 1:
		return doubt("apiVersion", message, homes[0])
	case len(homes) > 1:
		return doubt("apiVersion", message+"; there is one in "+strings.Join(homes, " and in "), nearest(gv.String(), homes))
	}
	near := nearest(kind, c.kinds[gv])
	if near == "" {
		near = nearest(kind, c.kindsOf(gv.Group))
	}
	return doubt("kind", message, near)
}

// stableHomes lists the apiVersions with a kind of this name, one for each group, without groups that only have a less
// stable version of it than another group: Deployment has moved from extensions/v1beta1 to apps/v1.
func (c *catalog) stableHomes(kind string) []string {
	var homes []string
	best := ""
	for _, group := range c.homes[kind] {
		latest := c.versions[schema.GroupKind{Group: group, Kind: kind}][0]
		order := version.CompareKubeAwareVersionStrings(latest, best)
		if order > 0 {
			homes, best = nil, latest
		}
		if order >= 0 {
			homes = append(homes, apiVersionOf(group, latest))
		}
	}
	return homes
}

// strangeGroup explains a group that is not known. It may be that of any custom resource, so it is a mistake only if it
// is a misspelling of a group that has this very kind.
func (c *catalog) strangeGroup(apiVersion string, gv schema.GroupVersion, kind string) []finding {
	for _, group := range c.homes[kind] {
		versions := c.versions[schema.GroupKind{Group: group, Kind: kind}]
		switch {
		case gv.Group == "" && gv.Version == group: // the version was left out
		case nearGroup(gv.Group, group):
			if slices.Contains(versions, gv.Version) {
				return []finding{doubt("apiVersion", "unknown apiVersion "+show(apiVersion), apiVersionOf(group, gv.Version))}
			}
		default:
			continue
		}
		return []finding{doubt("apiVersion", "unknown apiVersion "+show(apiVersion), apiVersionOf(group, versions[0]))}
	}
	if gv.Group == "" { // every version without a group is one of Kubernetes itself
		return []finding{doubt("apiVersion", "unknown apiVersion "+show(apiVersion), "")}
	}
	return nil
}

// otherVersion is the version of a group that has a kind, or else the group's most stable one.
func (c *catalog) otherVersion(gk schema.GroupKind, group string) string {
	if versions := c.versions[gk]; versions != nil {
		return apiVersionOf(group, versions[0])
	}
	return c.groups[group][0].String()
}

// kindsOf lists the kinds of all versions of a group.
func (c *catalog) kindsOf(group string) []string {
	var kinds []string
	for _, gv := range c.groups[group] {
		kinds = append(kinds, c.kinds[gv]...)
	}
	return kinds
}

// nearGroup reports whether a is b with one of its parts misspelled. The distance between the whole names says little:
// networking.gke.io is not a misspelling of networking.istio.io.
func nearGroup(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	if len(as) != len(bs) {
		return false
	}
	differ := 0
	for i := range as {
		if as[i] == bs[i] {
			continue
		}
		if differ++; differ > 1 || nearest(as[i], []string{bs[i]}) == "" {
			return false
		}
	}
	return differ == 1
}

func doubt(path, message, suggestion string) finding {
	return finding{Problem: Problem{Code: ir.CodeValue, Path: path, Message: message, Suggestion: suggestion}}
}

func apiVersionOf(group, version string) string {
	return schema.GroupVersion{Group: group, Version: version}.String()
}

func groupName(group string) string {
	if group == "" {
		return "the core group"
	}
	return fmt.Sprintf("group %q", group)
}
