package actions

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// TestPlansShowWhatTheModeWrites plans one mesh for each kind of cluster.
func TestPlansShowWhatTheModeWrites(t *testing.T) {
	t.Parallel()
	no := false
	const slices = "EndpointSlice"
	for mode, want := range map[ir.ClusterMode]struct{ writes, derived map[string]int64 }{
		ir.ClusterSandbox: {
			map[string]int64{"create Namespace": 1, "create Node": 2, "create Lease": 2, "create Service": 2, "create Pod": 7 + 4, "delete Pod": 4},
			map[string]int64{"create " + slices: 2, "status Pod": 7 + 4},
		},
		ir.ClusterFakeNodes: {
			map[string]int64{"create Namespace": 1, "create Node": 2, "create Lease": 2, "create Service": 2, "create Pod": 7 + 4, "delete Pod": 4},
			map[string]int64{"create " + slices: 1, "status Pod": 7 + 4},
		},
		ir.ClusterReal: {
			map[string]int64{"create Namespace": 1, "create Service": 2},
			map[string]int64{"create " + slices: 2, "update " + slices: 7 + 4 + 4},
		},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := runtimetest.Scenario(
				&createNodes{Count: 2, Name: "node"},
				&createNamespaces{Count: 1, Name: "mesh", Apps: []appSpec{
					{Name: "web", Type: runtime.AppPlain, Replicas: 1, Pods: 4, ServiceAccount: "default"},
					{Name: "legacy", Type: runtime.AppPlain, Replicas: 1, Pods: 3, ServiceAccount: "default", Selector: &no},
				}},
				&churnPods{Rate: ir.ConstantRate(4), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(time.Second), Order: "newFirst", Unit: "pod", Percent: 100},
			)
			s.Cluster = mode
			g, ds := runtime.Compile(t.Context(), s, nil)
			if ds != nil {
				t.Fatal(ds)
			}
			plan, ds := g.Plan(t.Context())
			if ds != nil {
				t.Fatal(ds)
			}
			writes, derived := plan.Totals()
			if d := cmp.Diff(want.writes, byName(writes)); d != "" {
				t.Errorf("by steps:\n%s", d)
			}
			if d := cmp.Diff(want.derived, byName(derived)); d != "" {
				t.Errorf("in the cluster:\n%s", d)
			}
			if plan.Population.Pods != 7 || plan.Population.Nodes != 2 {
				t.Errorf("population %+v", plan.Population)
			}
		})
	}
}

func byName(counts []runtime.WriteCount) map[string]int64 {
	out := map[string]int64{}
	for _, c := range counts {
		out[string(c.Verb)+" "+c.Kind] = c.Count
	}
	return out
}
