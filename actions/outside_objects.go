package actions

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/expr"
)

const istioNetworking = "networking.istio.io/v1"

// outsideIntents are the writes that make an app outside of the cluster.
func outsideIntents(ctx context.Context, m *runtime.Mesh, app *runtime.App, labels map[string]string, machine *expr.Template) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		if !yield(outsideIntent(app, "ServiceEntry", labels, serviceEntrySpec), nil) || app.Type != runtime.AppVM {
			return
		}
		if !yield(outsideIntent(app, "WorkloadGroup", nil, workloadGroupSpec), nil) {
			return
		}
		for i := range app.Machines {
			in, err := machineIntent(ctx, m, app, i, machine)
			if !yield(in, err) || err != nil {
				return
			}
		}
	}
}

// outsideIntent creates an object that is called as the app is.
func outsideIntent(app *runtime.App, kind string, labels map[string]string, spec func(*runtime.App) map[string]any) runtime.Intent {
	return runtime.Intent{Verb: runtime.VerbCreate, Group: apiGroup(istioNetworking), Kind: kind, Namespace: app.Namespace.Name, Name: app.Name, Build: func() runtime.Object {
		o := &unstructured.Unstructured{Object: map[string]any{"spec": spec(app)}}
		o.SetAPIVersion(istioNetworking)
		o.SetKind(kind)
		o.SetNamespace(app.Namespace.Name)
		o.SetName(app.Name)
		if len(labels) > 0 {
			o.SetLabels(labels)
		}
		return o
	}}
}

// serviceEntrySpec is a host that is resolved by DNS, or one whose endpoints are the app's WorkloadEntries.
func serviceEntrySpec(app *runtime.App) map[string]any {
	spec := map[string]any{
		"hosts": []any{app.Host()}, "location": "MESH_EXTERNAL", "resolution": "DNS",
		"ports": []any{map[string]any{"number": int64(80), "name": "http", "protocol": "HTTP", "targetPort": int64(8080)}},
	}
	if app.Type == runtime.AppVM {
		spec["location"], spec["resolution"] = "MESH_INTERNAL", "STATIC"
		spec["workloadSelector"] = map[string]any{"labels": map[string]any{"app": app.Name}}
	}
	return spec
}

func workloadGroupSpec(app *runtime.App) map[string]any {
	labels := map[string]any{}
	for k, v := range app.Labels {
		labels[k] = v
	}
	return map[string]any{
		"metadata": map[string]any{"labels": labels},
		"template": map[string]any{"serviceAccount": app.Account, "ports": map[string]any{"http": int64(8080)}},
	}
}

// workloadEntry is the template of a vm's WorkloadEntries, so that churnConfig can write them anew: each time with
// another weight, and otherwise the same machine.
var workloadEntry = map[string]any{
	"apiVersion": istioNetworking,
	"kind":       "WorkloadEntry",
	"metadata":   map[string]any{"name": "${app.name}-${index}"},
	"spec": map[string]any{
		"address": "${params.address}", "serviceAccount": "${params.account}", "labels": "${app.labels}",
		"weight": "${generation == 0 ? 1 : 1 + rand(100)}",
	},
}

// machineIntent creates one WorkloadEntry.
func machineIntent(ctx context.Context, m *runtime.Mesh, app *runtime.App, i int, t *expr.Template) (runtime.Intent, error) {
	ip, err := m.AddMachine()
	if err != nil {
		return runtime.Intent{}, err
	}
	scene := runtime.Scene{Index: i, App: app, Params: map[string]any{"address": ip, "account": app.Account}}
	o, key, err := renderObject(ctx, t, scene)
	if err != nil {
		return runtime.Intent{}, fmt.Errorf("machine %d of %s/%s: %w", i, app.Namespace.Name, app.Name, err)
	}
	m.Applied(key, t, scene)
	return objectIntent(runtime.VerbCreate, o, key), nil
}

// outsideGone deletes an app outside of the cluster.
func outsideGone(m *runtime.Mesh, app *runtime.App) []runtime.Intent {
	gone := func(kind, name string) runtime.Intent {
		ref := objectRef{APIVersion: istioNetworking, Kind: kind, Namespace: app.Namespace.Name, Name: name}
		m.Unapply(runtime.ObjectKey(ref))
		return ref.goneIntent()
	}
	out := []runtime.Intent{gone("ServiceEntry", app.Name)}
	if app.Type == runtime.AppVM {
		out = append(out, gone("WorkloadGroup", app.Name))
		for i := range app.Machines {
			out = append(out, gone("WorkloadEntry", app.Name+"-"+strconv.Itoa(i)))
		}
	}
	return out
}
