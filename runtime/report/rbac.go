package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/plscript/plscript/runtime"
)

// resource is what a rule of RBAC names.
type resource struct{ group, name string }

// WriteClusterRole prints the ClusterRole that a run of the plan needs on a cluster: for what its steps write, for what
// plscript does in place of the cluster's missing half, and for cleaning up. Names of resources are derived from kinds as
// Kubernetes' own are, as the plan knows no cluster to ask.
func WriteClusterRole(w io.Writer, p *runtime.Plan) error {
	needs := map[resource]map[string]bool{}
	need := func(group, name string, verbs ...string) {
		r := resource{group, name}
		if needs[r] == nil {
			needs[r] = map[string]bool{}
		}
		for _, v := range verbs {
			needs[r][v] = true
		}
	}
	writes, _ := p.Totals()
	for _, c := range writes {
		name := plural(c.Kind)
		// get is for the owner of an object that exists already, list and delete for the cleanup.
		need(c.Group, name, "get", "list", "delete")
		if c.Kind == "Pod" { // steps follow the pods that they start
			need(c.Group, name, "watch")
		}
		switch c.Verb {
		case runtime.VerbCreate:
			need(c.Group, name, "create")
		case runtime.VerbUpdate:
			need(c.Group, name, "update")
		case runtime.VerbDelete, runtime.VerbStatus, runtime.VerbFinalize:
		}
	}
	missingHalf(p, need)
	calls := p.Calls()
	if calls[runtime.StageInjection] > 0 {
		need("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get")
	}
	if calls[runtime.StageCertificate] > 0 {
		need("", "serviceaccounts/token", "create")
		need("", "configmaps", "get") // the mesh's root
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: plscript-%s\nrules:\n", p.Scenario.Name)
	keys := slices.SortedFunc(maps.Keys(needs), func(a, b resource) int {
		return strings.Compare(a.group+"/"+a.name, b.group+"/"+b.name)
	})
	for _, r := range keys {
		verbs := slices.Sorted(maps.Keys(needs[r]))
		fmt.Fprintf(&b, "- apiGroups: [%q]\n  resources: [%q]\n  verbs: [%s]\n", r.group, r.name, strings.Join(verbs, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// missingHalf is what the fake kubelet, the EndpointSlice controller and the others need, whatever the steps do.
func missingHalf(p *runtime.Plan, need func(group, name string, verbs ...string)) {
	watch := []string{"get", "list", "watch"}
	if !p.Phantoms() {
		need("", "pods", append(watch, "delete")...)
		need("", "pods/status", "update")
		need("", "nodes", watch...)
	}
	need("", "services", watch...)
	need("", "namespaces", append(watch, "delete")...)
	if !p.Controllers() {
		need("", "namespaces/finalize", "update")
	}
	need("", "serviceaccounts", "get", "list", "create", "delete")
	// get is also for finding a kube-controller-manager.
	need("coordination.k8s.io", "leases", "get", "list", "create", "update", "delete")
	need("discovery.k8s.io", "endpointslices", append(watch, "create", "update", "delete")...)
}

// plural is the resource of a kind, by Kubernetes' rules.
func plural(kind string) string {
	s := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(s, "endpoints"):
		return s
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	case strings.HasSuffix(s, "y") && !strings.HasSuffix(s, "ay") && !strings.HasSuffix(s, "ey") && !strings.HasSuffix(s, "oy"):
		return s[:len(s)-1] + "ies"
	}
	return s + "s"
}
