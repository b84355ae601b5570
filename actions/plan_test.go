package actions

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// bodies is a scenario that uses every action that writes.
func bodies() []runtime.Action {
	return []runtime.Action{
		&createNodes{Count: 3, Name: "node", Zones: 2, Ztunnel: true},
		&createNamespaces{Count: 2, Name: "mesh", Waypoint: "waypoint", GracePeriod: ir.Duration(time.Second), Apps: []appSpec{
			{Name: "waypoint", Type: runtime.AppWaypoint, Replicas: 1, Pods: 2, ServiceAccount: "waypoint"},
			{Name: "app", Type: runtime.AppSidecar, Replicas: 3, Pods: 4, ServiceAccount: "default"},
		}},
		&createNamespaces{Count: 2, Name: "outside", Apps: []appSpec{
			{Name: "api", Type: runtime.AppExternal, Replicas: 2, Pods: 1, ServiceAccount: "default", GracePeriod: ir.Duration(time.Second)},
			{Name: "db", Type: runtime.AppVM, Replicas: 2, Pods: 3, ServiceAccount: "db"},
		}},
		&apply{Scope: "app", Count: 2, Select: "app.type == 'sidecar'", Objects: []map[string]any{{
			"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
			"metadata": map[string]any{"name": "${app.name}-${index}"},
			"spec": map[string]any{"hosts": []any{"${app.host}"}, "http": []any{map[string]any{
				"route": []any{map[string]any{"destination": map[string]any{"host": "${app.host}"}, "weight": "${rand(100)}"}},
			}}},
		}}},
		&churnPods{Rate: ir.ConstantRate(20), Arrivals: runtime.ArrivalsPoisson, Duration: ir.Duration(3 * time.Second), Select: "app.name == 'app-1'", Order: "newFirst", Unit: "pod", Percent: 100},
		&churnPods{Rate: ir.ConstantRate(2), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(3 * time.Second), Order: "oldFirst", Unit: "app", Percent: 100},
		&churnPods{Rate: ir.ConstantRate(2), Arrivals: runtime.ArrivalsUniform, Duration: ir.Duration(3 * time.Second), Order: "newFirst", Unit: "namespace", Percent: 30},
		&rolloutRestart{Select: "app.type == 'sidecar'", MaxUnavailable: intstr.FromString("25%"), MaxSurge: intstr.FromInt32(1), Parallel: 2},
		&scale{Select: "app.name == 'app-0'", To: ptr(7)},
		&scale{Select: "app.name == 'app-0'", By: ptr(-3)},
		&churnConfig{Rate: ir.ConstantRate(10), Arrivals: runtime.ArrivalsNormal, Duration: ir.Duration(2 * time.Second), Of: []configKind{{Kind: "VirtualService", Weight: 2}}},
		&churnConfig{Rate: ir.ConstantRate(10), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(time.Second), Of: []configKind{{Kind: "WorkloadEntry", Weight: 1}}},
		&scale{Select: "app.type == 'vm' || app.type == 'external'", To: ptr(9)},
		&createNamespaces{Count: 1, Name: "hooked", Labels: map[string]string{"istio-injection": "enabled"}, Apps: []appSpec{
			{Name: "web", Type: runtime.AppSidecar, Replicas: 1, Pods: 3, ServiceAccount: "default", podSettings: podSettings{CSR: ptr(true)}},
			{Name: "edge", Type: runtime.AppGateway, Replicas: 1, Pods: 1, ServiceAccount: "default", podSettings: podSettings{Inject: runtime.InjectNone}},
		}},
		&churnPods{Rate: ir.ConstantRate(5), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(2 * time.Second), Select: "ns.name == 'hooked'", Order: "oldFirst", Unit: "pod", Percent: 100},
		&connect{Count: 6, Class: runtime.ClassClient, Namespace: "default", ServiceAccount: "default"},
		&connect{Count: 4, Name: "late", Rate: ptr(ir.ConstantRate(2)), Class: runtime.ClassGateway, Namespace: "default", ServiceAccount: "default"},
		&disconnect{Fraction: 0.5, Class: runtime.ClassClient},
		&disconnect{Count: 7, Rate: ptr(ir.ConstantRate(10))},
		&inject{requests: requests{Count: 30}, Namespace: "default", Containers: 2},
		&inject{requests: requests{Rate: ptr(ir.ConstantRate(10)), Arrivals: runtime.ArrivalsPoisson, Duration: ir.Duration(2 * time.Second)}, Namespace: "default", Containers: 1},
		&requestCertificates{requests: requests{Count: 5}, Key: runtime.KeyECDSA},
		&requestCertificates{requests: requests{Count: 4, Rate: ptr(ir.ConstantRate(10)), Arrivals: runtime.ArrivalsConstant}, Key: runtime.KeyRSA, Select: "app.name == 'web'"},
		&probe{Replicas: 5, Threshold: 2, Delay: ir.Duration(time.Second), Gateway: "mesh-0/public", Domain: "probe.example.com", Limit: ir.Duration(time.Second)},
		&deleteObjects{Unit: "namespace", Select: "ns.name == 'hooked'"},
		&deleteObjects{Unit: "app", Select: "ns.name == 'outside-0'"},
		&deleteObjects{Unit: "app", Select: "ns.index == 0 && app.index == 2"},
		&deleteObjects{Unit: "pod", Select: "ns.index == 0 && pod.index == 1"},
		&deleteObjects{Unit: "namespace", Select: "ns.name == 'mesh-1'"},
		&deleteObjects{Objects: []objectRef{{"networking.istio.io/v1", "VirtualService", "mesh-0", "app-0-0"}}},
	}
}

func ptr[T any](v T) *T { return &v }

// istiod is what a run asks istiod for, as it would answer.
func istiod() runtime.Services {
	return runtime.Services{
		Injector:     &runtimetest.Injector{Latency: 3 * time.Millisecond},
		Certificates: &runtimetest.Certificates{Latency: 3 * time.Millisecond},
	}
}

// callsMade counts the calls of a run as a plan does: proxies ask for their certificates themselves.
func callsMade(stages *runtime.Stages, proxies *runtimetest.Proxies) map[runtime.Stage]int64 {
	out := map[runtime.Stage]int64{}
	for _, o := range stages.Outcomes() {
		out[o.Stage] = o.Count + o.Errors
	}
	out[runtime.StageCertificate] += proxies.Certified()
	return out
}

// TestPlanIsWhatARunDoes compares, step by step, what a plan counts with what a recording writer is given.
func TestPlanIsWhatARunDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(bodies()...), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		plan, ds := g.Plan(t.Context())
		if ds != nil {
			t.Fatal(ds)
		}
		w, proxies := &runtimetest.Writer{Latency: time.Millisecond, Answer: runtimetest.Admit}, &runtimetest.Proxies{}
		stages := &runtime.Stages{}
		out := g.Run(t.Context(), runtime.Parts{
			RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: proxies, Signal: &runtime.Signal{}, Stages: stages, Services: istiod(),
		})
		if out.Exit != runtime.ExitPass {
			t.Fatal(out.Err)
		}
		planned := map[runtime.WriteKey]int64{}
		writes, _ := plan.Totals()
		for _, c := range writes {
			planned[c.WriteKey] = c.Count
		}
		if diff := cmp.Diff(planned, w.Counts()); diff != "" {
			t.Errorf("planned and written differ:\n%s", diff)
		}
		if diff := cmp.Diff(plan.Calls(), callsMade(stages, proxies)); diff != "" {
			t.Errorf("planned and made calls differ:\n%s", diff)
		}
		open := map[runtime.ProxyClass]int64{}
		for _, p := range proxies.Wanted() {
			open[p.Class]++
		}
		if diff := cmp.Diff(plan.Proxies, open); diff != "" {
			t.Errorf("planned and wanted proxies differ:\n%s", diff)
		}
		wantPods := 2*2 + 2*3*4 - 4 - 3 - (2 + 12) // all, less an app, one pod of each other app, and a namespace
		if p := plan.Population; p.Namespaces != 3 || p.Services != 3 || p.Pods != int64(wantPods) || p.Nodes != 3 {
			t.Errorf("population %+v, want %d pods of 3 services", p, wantPods)
		}
	})
}

// TestSameSeedSameOperations runs twice with different speeds and compares every write.
func TestSameSeedSameOperations(t *testing.T) {
	record := func(latency time.Duration, seed int64) map[string]int {
		var names map[string]int
		synctest.Test(t, func(t *testing.T) {
			s := runtimetest.Scenario(bodies()...)
			s.Seed = seed
			g, ds := runtime.Compile(t.Context(), s, nil)
			if ds != nil {
				t.Fatal(ds)
			}
			w := &runtimetest.Writer{Latency: latency}
			g.Run(t.Context(), runtime.Parts{
				RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{}, Services: istiod(),
			})
			names = map[string]int{}
			for _, x := range w.Writes() {
				names[string(x.Verb)+" "+x.Kind+" "+x.Namespace+"/"+x.Name]++
			}
		})
		return names
	}
	a, b := record(time.Millisecond, 1), record(700*time.Millisecond, 1)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same seed gave other operations:\n%s", diff)
	}
	if cmp.Equal(a, record(time.Millisecond, 2)) {
		t.Error("another seed gave the same operations")
	}
}
