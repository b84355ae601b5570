package kinds

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/plscript/plscript/lang/ir"
)

// rule says what is wrong with a name; nothing if it is valid.
type rule func(name string) []string

// nameRules are those of the kinds whose objects are not named by DNS subdomains, as k8s.io/kubernetes/pkg/apis has them
// (Validate<Kind>Name). A Service may be any DNS label since Kubernetes 1.36 (RelaxedServiceNameValidation).
var nameRules = map[schema.GroupKind]rule{
	{Kind: "Namespace"}:                  validation.IsDNS1123Label,
	{Kind: "Service"}:                    validation.IsDNS1123Label,
	{Group: "apps", Kind: "StatefulSet"}: validation.IsDNS1123Label,

	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                content.IsPathSegmentName,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:         content.IsPathSegmentName,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:         content.IsPathSegmentName,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:  content.IsPathSegmentName,
	{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}: content.IsPathSegmentName,
	{Group: "certificates.k8s.io", Kind: "ClusterTrustBundle"}:        content.IsPathSegmentName,
	{Group: "networking.k8s.io", Kind: "IPAddress"}:                   content.IsPathSegmentName,
}

// metadata checks what the types of an object's metadata do not say: its names, labels and annotations.
func (c *checker) metadata(obj map[string]any, gk schema.GroupKind) {
	if !c.required(obj, "", "metadata") {
		return
	}
	meta, ok := obj["metadata"].(map[string]any)
	if !ok {
		return // reported as a mismatch
	}
	if prefix, _ := meta["generateName"].(string); prefix == "" {
		c.required(meta, "metadata", "name")
	}
	valid, special := nameRules[gk]
	if !special {
		valid = validation.IsDNS1123Subdomain
	}
	if name, ok := meta["name"].(string); ok {
		c.named("metadata.name", "name", name, valid)
	}
	if namespace, ok := meta["namespace"].(string); ok && namespace != "" {
		c.named("metadata.namespace", "namespace", namespace, validation.IsDNS1123Label)
	}
	labels, _ := meta["labels"].(map[string]any)
	for key, value := range labels {
		c.named(join("metadata.labels", key), "label key", key, validation.IsQualifiedName)
		if text, ok := value.(string); ok {
			c.named(join("metadata.labels", key), "label value", text, validation.IsValidLabelValue)
		}
	}
	annotations, _ := meta["annotations"].(map[string]any)
	for key := range annotations {
		lower := func(key string) []string { return validation.IsQualifiedName(strings.ToLower(key)) }
		c.named(join("metadata.annotations", key), "annotation key", key, lower)
	}
}

// named checks a name, and suggests it with dashes for what separates words, in lower case if need be.
func (c *checker) named(path, what, name string, valid rule) {
	faults := valid(name)
	if len(faults) == 0 {
		return
	}
	why, _, _ := strings.Cut(faults[0], " (e.g.") // examples and a regular expression follow
	p := Problem{Code: ir.CodeValue, Path: path, Message: show(name) + " is not a valid " + what + ": " + why}
	dashes := strings.NewReplacer("_", "-", " ", "-").Replace(name)
	for _, tidy := range []string{dashes, strings.ToLower(dashes)} {
		if p.Suggestion == "" && len(valid(tidy)) == 0 {
			p.Suggestion = tidy
		}
	}
	c.found = append(c.found, finding{Problem: p})
}
