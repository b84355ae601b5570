package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"github.com/plscript/plscript/runtime"
)

// preflight refuses a target that holds what is not plscript's: a load test must not meet a mesh that someone uses. A
// sandbox of the run's own needs no look, nor does a scenario that writes nothing.
func (r *session) preflight(ctx context.Context) error {
	if r.target.private || r.opt.live || r.opt.target.yes != "" || !r.plansWrites() {
		return nil
	}
	foreign, err := foreignObjects(ctx, r.target)
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	if r.target.istiod != nil {
		proxies, err := r.target.fleet().Syncz(ctx)
		if err != nil {
			return fmt.Errorf("preflight: istiod's syncz: %w", err)
		}
		for _, p := range proxies {
			foreign = append(foreign, "proxy "+p.ID)
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	const shown = 5
	list := strings.Join(foreign[:min(shown, len(foreign))], ", ")
	if more := len(foreign) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	hint := "--yes-this-cluster CONTEXT says that it is meant"
	if r.target.box != nil {
		hint = "remove it, or start another sandbox"
	}
	return fmt.Errorf("preflight: %s holds what is not plscript's: %s; %s", r.target.about, list, hint)
}

// foreignObjects lists the Nodes, Pods and Namespaces without plscript's label, but for those that every cluster has.
func foreignObjects(ctx context.Context, t *target) ([]string, error) {
	client, err := metadata.NewForConfig(t.rest)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, kind := range []struct{ resource, name string }{{"namespaces", "namespace"}, {"nodes", "node"}, {"pods", "pod"}} {
		list, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: kind.resource}).
			List(ctx, metav1.ListOptions{LabelSelector: "!" + runtime.LabelRun})
		if err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			ns := o.Namespace
			if kind.resource == "namespaces" {
				ns = o.Name
			}
			if systemNamespace(ns) {
				continue
			}
			out = append(out, kind.name+" "+strings.TrimPrefix(o.Namespace+"/"+o.Name, "/"))
		}
	}
	return out, nil
}

func systemNamespace(ns string) bool {
	return strings.HasPrefix(ns, "kube-") || slices.Contains([]string{"default", "istio-system", "local-path-storage"}, ns)
}
