package actions

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// configBodies is a mesh with an object for the cluster, one for each namespace and a TLS Secret for each app, and an
// update of them.
func configBodies(churn *churnConfig) []runtime.Action {
	churn.Rate, churn.Arrivals, churn.Duration = ir.ConstantRate(10), runtime.ArrivalsConstant, ir.Duration(3*time.Second)
	object := func(apiVersion, kind, name string, more map[string]any) map[string]any {
		o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	return []runtime.Action{
		&createNamespaces{Count: 3, Name: "mesh", Apps: []appSpec{{Name: "web", Type: runtime.AppSidecar, Replicas: 2, Pods: 1, ServiceAccount: "default"}}},
		&apply{Scope: "cluster", Count: 1, Objects: []map[string]any{
			object("v1", "ConfigMap", "all", map[string]any{"metadata": map[string]any{"name": "all", "namespace": "mesh-0"}}),
		}},
		&apply{Scope: "namespace", Count: 1, Objects: []map[string]any{object("v1", "ConfigMap", "ns", nil)}},
		&apply{Scope: "app", Count: 1, Objects: []map[string]any{object("v1", "Secret", "${app.name}", map[string]any{
			"type":       "kubernetes.io/tls",
			"stringData": map[string]any{"tls.crt": "${cert(app.host).crt}", "tls.key": "${cert(app.host).key}"},
		})}},
		churn,
	}
}

// churned runs a churnConfig and returns its writes, and compares their number with the plan's.
func churned(t *testing.T, churn *churnConfig) []runtimetest.Write {
	t.Helper()
	var updates []runtimetest.Write
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(configBodies(churn)...), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		plan, ds := g.Plan(t.Context())
		if ds != nil {
			t.Fatal(ds)
		}
		w := &runtimetest.Writer{}
		out := g.Run(t.Context(), runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{}, Services: istiod()})
		if out.Exit != runtime.ExitPass {
			t.Fatal(out.Err)
		}
		for _, x := range w.Writes() {
			if x.Verb == runtime.VerbUpdate {
				updates = append(updates, x)
			}
		}
		var planned int64
		step := plan.Phases[len(plan.Phases)-1].Steps[0]
		for _, c := range step.Writes() {
			planned += c.Count
		}
		if len(updates) == 0 || planned != int64(len(updates)) {
			t.Errorf("%d updates, planned were %d", len(updates), planned)
		}
		for i, first := range step.First {
			if got := "update " + updates[i].Kind + " " + updates[i].Namespace + "/" + updates[i].Name; got != first {
				t.Errorf("operation %d is %q, planned was %q", i, got, first)
			}
		}
	})
	return updates
}

func TestChurnConfigSelects(t *testing.T) {
	t.Parallel()
	for selector, selected := range map[string]func(w runtimetest.Write) bool{
		"":                    func(runtimetest.Write) bool { return true },
		"ns.index > 0":        func(w runtimetest.Write) bool { return w.Namespace != "mesh-0" },
		"app.name == 'web-1'": func(w runtimetest.Write) bool { return w.Name == "web-1" },
	} {
		names := map[string]bool{}
		for _, w := range churned(t, &churnConfig{Select: selector}) {
			names[w.Kind+" "+w.Name] = true
			if !selected(w) {
				t.Errorf("%q: %s %s/%s is updated", selector, w.Kind, w.Namespace, w.Name)
			}
		}
		if selector == "ns.index > 0" && len(names) != 3 { // a ConfigMap and two Secrets: both scopes have a namespace
			t.Errorf("%q: only %v are updated", selector, names)
		}
	}
}

// TestChurnConfigRotatesCertificates: each update of a Secret has another certificate than all before.
func TestChurnConfigRotatesCertificates(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, w := range churned(t, &churnConfig{Of: []configKind{{Kind: "Secret", Weight: 1}}}) {
		crt, _, err := unstructured.NestedString(w.Object.(*unstructured.Unstructured).Object, "stringData", "tls.crt")
		if err != nil || crt == "" || seen[crt] {
			t.Errorf("%s/%s has no new certificate: %v", w.Namespace, w.Name, err)
		}
		seen[crt] = true
	}
}

func TestChurnConfigWithoutObjects(t *testing.T) {
	t.Parallel()
	for want, churn := range map[string]*churnConfig{
		"select: it holds for no object":                     {Select: "ns.index > 7"},
		"of: no Gateway was applied":                         {Of: []configKind{{Kind: "Gateway", Weight: 1}}},
		"of: select holds for no ConfigMap that was applied": {Select: "app.index >= 0", Of: []configKind{{Kind: "Secret", Weight: 1}, {Kind: "ConfigMap", Weight: 1}}},
		"select: it holds for no object that was applied ":   {Select: "pod.index == 0"},
	} {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(configBodies(churn)...), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		if _, ds = g.Plan(t.Context()); len(ds) != 1 || !strings.Contains(ds[0].Message, want) {
			t.Errorf("%v, want %q", ds, want)
		}
	}
}
