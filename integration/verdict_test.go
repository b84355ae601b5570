package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/plscript/plscript/runtime/report"
)

// expected is what a scenario's run at its smallest size must show besides passing. A scenario that is not listed has to
// pass all the same.
var expected = map[string]struct {
	proxies map[string]int // synced, by class
	pushed  []string       // types of which resources were received
	never   string         // a type of which none was
}{
	"ambient": {proxies: map[string]int{"ztunnel": 2, "waypoint": 4}, pushed: []string{"cds", "eds", "lds", "wds"}},
	"sidecar": {proxies: map[string]int{"sidecar": 9}, pushed: []string{"cds", "eds", "lds", "rds"}, never: "workload"}, // no ambient profile
	"gateway": {proxies: map[string]int{"gateway": 2}, pushed: []string{"cds", "eds", "lds", "rds"}},
	"huge":    {proxies: map[string]int{"client": 1}, pushed: []string{"cds", "eds"}},
}

// matrix is what `plscript matrix` prints.
type matrix struct {
	Include []struct{ Name, File, Params string }
}

// TestScenarios runs every scenario that the project ships at its smallest size, as CI's matrix does, each on a private
// sandbox, and reads its report.
func TestScenarios(t *testing.T) {
	var m matrix
	if err := json.Unmarshal([]byte(run(t, 0, "matrix", "--size", "smallest", "../scenarios").stdout.String()), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Include) < len(expected) {
		t.Fatalf("only %d scenarios in the matrix", len(m.Include))
	}
	for _, entry := range m.Include {
		t.Run(entry.Name, func(t *testing.T) {
			tc := expected[entry.Name]
			args := append([]string{"run", entry.File}, strings.Fields(entry.Params)...)
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
			if tc.never != "" && reading(r, "xds."+tc.never+".responses") != 0 {
				t.Errorf("%s responses were received", tc.never)
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
	type counts struct{ own, derived int64 }
	planned := map[[3]string]counts{}
	for _, p := range r.Plan {
		key := [3]string{p.Group, p.Kind, p.Verb}
		c := planned[key]
		if p.Derived {
			c.derived += p.Count
		} else {
			c.own += p.Count
		}
		planned[key] = c
	}
	done := map[[3]string]int64{}
	for _, w := range r.Writes {
		done[[3]string{w.Group, w.Kind, w.Verb}] = w.Done
	}
	for key, c := range planned {
		got := done[key]
		switch {
		case key[1] == "EndpointSlice" && got < c.own+c.derived:
			t.Errorf("%v: %d written, at least %d planned", key, got, c.own+c.derived)
		case key[1] != "EndpointSlice" && (got < c.own || got > c.own+c.derived):
			t.Errorf("%v: %d written, %d planned and at most %d that follow", key, got, c.own, c.derived)
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
	// A long path moves where lines are broken.
	if out := strings.Join(strings.Fields(p.stdout.String()), " "); !strings.Contains(out, "timed out after 2s") || !strings.Contains(out, "pods.ready = 2") || !strings.Contains(out, "scenario.cue:6:") {
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
