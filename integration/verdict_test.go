package integration

import (
	"strings"
	"testing"

	"github.com/plscript/plscript/runtime/report"
)

// TestScenarios runs every scenario that the project ships, small, each on a private sandbox, and reads its report.
func TestScenarios(t *testing.T) {
	for _, tc := range []struct {
		file    string
		params  []string
		proxies map[string]int
		pushed  []string
	}{
		{"../scenarios/ambient.cue", []string{"namespaces=2", "nodes=2", "duration=5s"}, map[string]int{"ztunnel": 2, "waypoint": 4}, []string{"cds", "eds", "lds", "wds"}},
		{"../scenarios/sidecar.cue", []string{"namespaces=1", "duration=5s"}, map[string]int{"sidecar": 9}, []string{"cds", "eds", "lds", "rds"}},
		{"../scenarios/gateway.cue", []string{"namespaces=1", "routes=2"}, map[string]int{"gateway": 2}, []string{"cds", "eds", "lds", "rds"}},
	} {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(tc.file, "../scenarios/"), ".cue"), func(t *testing.T) {
			args := []string{"run", tc.file}
			for _, p := range tc.params {
				args = append(args, "-t", p)
			}
			p := run(t, 0, args...)
			if !strings.Contains(p.stdout.String(), "PASS") {
				t.Errorf("no PASS in\n%s", p.stdout)
			}
			r := p.report(t)
			for class, n := range tc.proxies {
				if got := reading(r, "xds."+class+".synced"); got != n {
					t.Errorf("%d %s proxies synced, want %d", got, class, n)
				}
			}
			for _, typ := range tc.pushed {
				if reading(r, "xds."+typ+".resources") == 0 {
					t.Errorf("no %s resource was received", typ)
				}
			}
			if reading(r, "pods.ready") != reading(r, "pods.desired") || reading(r, "endpoints.ready") != reading(r, "endpoints.desired") {
				t.Errorf("pods or endpoints are missing: %v", r.Readings)
			}
			checkSync(t, r)
			checkPlan(t, r)
			checkNothingLeft(t, p)
		})
	}
}

func reading(r *report.Report, path string) int {
	v, _ := r.Readings[path].(float64)
	return int(v)
}

// checkSync demands that after every phase istiod listed exactly the open streams, with every push acknowledged.
func checkSync(t *testing.T, r *report.Report) {
	t.Helper()
	if len(r.Sync) != len(r.Phases) {
		t.Errorf("%d phases, %d comparisons with syncz", len(r.Phases), len(r.Sync))
	}
	for _, c := range r.Sync {
		if !c.OK {
			t.Errorf("phase %s: %s %v", c.Phase, c.Error, c.Mismatches)
		}
	}
}

// checkPlan demands that the run wrote what the plan counted.
func checkPlan(t *testing.T, r *report.Report) {
	t.Helper()
	done := map[[3]string]int64{}
	for _, w := range r.Writes {
		done[[3]string{w.Group, w.Kind, w.Verb}] = w.Done
	}
	for _, p := range r.Plan {
		key := [3]string{p.Group, p.Kind, p.Verb}
		got := done[key]
		switch {
		case p.Derived && p.Kind == "EndpointSlice" && got < p.Count:
			t.Errorf("%v: %d written, at least %d planned", key, got, p.Count)
		case p.Derived && p.Kind != "EndpointSlice" && got > p.Count:
			t.Errorf("%v: %d written, at most %d planned", key, got, p.Count)
		case !p.Derived && got != p.Count:
			t.Errorf("%v: %d written, %d planned", key, got, p.Count)
		}
	}
}

func TestImpossibleThreshold(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 5, "run", "--sandbox", box.Name, scenario(t, `
name: "impossible"
phases: [{name: "mesh", steps: [{action: "createNamespaces", count: 1, apps: [{name: "web", pods: 1}]}]}]
thresholds: [{name: "all is well", expr: "xds.nacks == 0"}, {name: "never so", expr: "pods.desired > 1000"}, {name: "not measured", expr: "changes.endpoint.p99 < duration('1s')"}]
`))
	out := p.stdout.String()
	if !strings.Contains(out, "never so") || !strings.Contains(out, "not measured") || !strings.Contains(out, "exit 5") {
		t.Errorf("the verdict does not say which:\n%s", out)
	}
	for _, th := range p.report(t).Thresholds {
		if th.Passed != (th.Name == "all is well") || th.NoData != (th.Name == "not measured") {
			t.Errorf("%+v", th)
		}
	}
	checkEmpty(t, box)
}

func TestWaitInVain(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 4, "run", "--sandbox", box.Name, scenario(t, `
name: "vain"
phases: [{name: "mesh", steps: [
	{action: "createNamespaces", count: 1, apps: [{name: "web", pods: 2}]},
	{action: "wait", until: "pods.ready == pods.desired"},
	{action: "wait", until: "pods.ready == 3", timeout: "2s"},
]}]
`))
	if out := p.stdout.String(); !strings.Contains(out, "timed out after 2s") || !strings.Contains(out, "pods.ready = 2") || !strings.Contains(out, "scenario.cue:6:") {
		t.Errorf("the verdict does not say what was waited for:\n%s", out)
	}
	checkEmpty(t, box)
}

func TestFalseAssert(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 4, "run", "--sandbox", box.Name, scenario(t, `
name: "assert"
phases: [{name: "check", steps: [{action: "assert", expr: "pods.desired == 1"}]}]
`))
	if out := p.stdout.String(); !strings.Contains(out, "pods.desired = 0") {
		t.Errorf("the verdict does not show the value:\n%s", out)
	}
}
