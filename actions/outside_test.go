package actions

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/kinds"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// written runs actions on a recording writer and returns what was written.
func written(t *testing.T, bodies ...runtime.Action) []runtimetest.Write {
	t.Helper()
	var out []runtimetest.Write
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(bodies...), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		w := &runtimetest.Writer{Latency: time.Millisecond}
		o := g.Run(t.Context(), runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{}, Services: istiod()})
		if o.Exit != runtime.ExitPass {
			t.Fatal(o.Err)
		}
		out = w.Writes()
	})
	return out
}

// TestOutsideObjects: what stands for apps outside of the cluster is valid, belongs together, and keeps its identity when
// its weight is churned.
func TestOutsideObjects(t *testing.T) {
	t.Parallel()
	writes := written(t,
		&createNamespaces{Count: 1, Name: "out", Apps: []appSpec{
			{Name: "api", Type: runtime.AppExternal, Replicas: 1, Pods: 1, ServiceAccount: "default", ServiceLabels: map[string]string{"team": "a"}},
			{Name: "db", Type: runtime.AppVM, Replicas: 1, Pods: 2, ServiceAccount: "db", Labels: map[string]string{"tier": "back"}},
		}},
		&churnConfig{Rate: ir.ConstantRate(20), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(time.Second)},
	)
	byName := map[string][]map[string]any{}
	for _, w := range writes {
		o, ok := w.Object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		if ps := kinds.Check(o.Object); len(ps) > 0 {
			t.Errorf("%s %s: %v", w.Kind, w.Name, ps)
		}
		byName[w.Kind+"/"+w.Name] = append(byName[w.Kind+"/"+w.Name], o.Object["spec"].(map[string]any))
	}
	port := []any{map[string]any{"number": int64(80), "name": "http", "protocol": "HTTP", "targetPort": int64(8080)}}
	for name, want := range map[string]map[string]any{
		"ServiceEntry/api": {"hosts": []any{"api.out.external.example.com"}, "location": "MESH_EXTERNAL", "resolution": "DNS", "ports": port},
		"ServiceEntry/db": {"hosts": []any{"db.out.vm.example.com"}, "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": port,
			"workloadSelector": map[string]any{"labels": map[string]any{"app": "db"}}},
	} {
		if d := cmp.Diff([]map[string]any{want}, byName[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if len(byName["WorkloadGroup/db"]) != 1 {
		t.Errorf("%d WorkloadGroups", len(byName["WorkloadGroup/db"]))
	}
	var weights []any
	for name, address := range map[string]string{"WorkloadEntry/db-0": "198.18.0.1", "WorkloadEntry/db-1": "198.18.0.2"} {
		if len(byName[name]) < 2 {
			t.Errorf("%s was never written again", name)
		}
		for _, spec := range byName[name] {
			labels, _ := spec["labels"].(map[string]any)
			if spec["address"] != address || spec["serviceAccount"] != "db" || labels["app"] != "db" || labels["tier"] != "back" {
				t.Errorf("%s: %v", name, spec)
			}
			if !slices.Contains(weights, spec["weight"]) {
				weights = append(weights, spec["weight"])
			}
		}
	}
	if len(weights) < 3 {
		t.Errorf("20 updates gave the weights %v only", weights)
	}
}

// TestServiceLabels: they are the Service's, not the pods'.
func TestServiceLabels(t *testing.T) {
	t.Parallel()
	labels := map[string]map[string]string{}
	for _, w := range written(t, &createNamespaces{Count: 1, Apps: []appSpec{
		{Name: "web", Type: runtime.AppPlain, Replicas: 1, Pods: 1, ServiceAccount: "default", ServiceLabels: map[string]string{"istio.io/global": "true"}},
	}}) {
		labels[w.Kind] = w.Object.GetLabels()
	}
	if labels["Service"]["istio.io/global"] != "true" || labels["Service"]["app"] != "web" {
		t.Errorf("Service: %v", labels["Service"])
	}
	if _, ok := labels["Pod"]["istio.io/global"]; ok {
		t.Errorf("Pod: %v", labels["Pod"])
	}
}

// TestGracePeriodSeparatesCopies: the pause stands between any two copies in a namespace, of one app or of two, and not
// after the last.
func TestGracePeriodSeparatesCopies(t *testing.T) {
	t.Parallel()
	g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&createNamespaces{Count: 2, Apps: []appSpec{
		{Name: "a", Type: runtime.AppPlain, Replicas: 3, GracePeriod: ir.Duration(time.Second), ServiceAccount: "default"},
		{Name: "b", Type: runtime.AppPlain, Replicas: 2, GracePeriod: ir.Duration(10 * time.Second), ServiceAccount: "default"},
	}}), nil)
	if ds != nil {
		t.Fatal(ds)
	}
	plan, ds := g.Plan(t.Context())
	if ds != nil {
		t.Fatal(ds)
	}
	if got, want := plan.Expected(), 2*(3*time.Second+10*time.Second); got != want {
		t.Errorf("takes %v, want %v", got, want)
	}
}

// TestProxyMetadata: what a step says of its proxies' metadata reaches each of them, replacements included.
func TestProxyMetadata(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(
			&createNamespaces{Count: 1, Metadata: map[string]string{"TEAM": "a"}, Apps: []appSpec{{Name: "web", Type: runtime.AppSidecar, Replicas: 1, Pods: 1, ServiceAccount: "default"}}},
			&churnPods{Rate: ir.ConstantRate(1), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(3 * time.Second), Order: "newFirst", Unit: "pod", Percent: 100},
		), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		proxies := &runtimetest.Proxies{}
		g.Run(t.Context(), runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: proxies, Signal: &runtime.Signal{}, Services: istiod()})
		for _, p := range proxies.Wanted() {
			if p.Metadata["TEAM"] != "a" {
				t.Errorf("%s: %v", p.Name, p.Metadata)
			}
		}
		if len(proxies.Wanted()) != 1 {
			t.Errorf("%d proxies", len(proxies.Wanted()))
		}
	})
}

// TestExternalAppsHaveNoPods: asking for some is a mistake, not something to leave out silently.
func TestExternalAppsHaveNoPods(t *testing.T) {
	t.Parallel()
	_, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&createNamespaces{Count: 1, Apps: []appSpec{{Name: "api", Type: runtime.AppExternal, Replicas: 1, Pods: 2}}}), nil)
	if len(ds) != 1 || ds[0].Path != "phases[0].steps[0].apps[0].pods" {
		t.Errorf("diagnostics %v", ds)
	}
}
