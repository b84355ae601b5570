package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

var start = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

func pos(line int) ir.Pos { return ir.Pos{File: "scenarios/ambient.cue", Line: line, Col: 33} }

func stepOutcome(kind string, from, to time.Duration, line int) runtime.StepOutcome {
	return runtime.StepOutcome{
		Name: kind, Kind: kind, Path: fmt.Sprintf("phases[%d].steps[0]", line-14), Pos: pos(line), Status: runtime.StatusPassed,
		Started: start.Add(from), Ended: start.Add(to), Tries: 1,
	}
}

func phaseOutcome(name string, steps ...runtime.StepOutcome) runtime.PhaseOutcome {
	p := runtime.PhaseOutcome{Name: name, Status: runtime.StatusPassed, Started: steps[0].Started, Ended: steps[0].Ended, Steps: steps}
	for _, s := range steps {
		if s.Status == runtime.StatusFailed {
			p.Status = runtime.StatusFailed
		}
	}
	return p
}

func sampleReadings() runtime.Readings {
	r := runtime.Readings{
		"namespaces.created": int64(10), "services.created": int64(20), "nodes.created": int64(50),
		"pods.desired": int64(120), "pods.ready": int64(120), "endpoints.desired": int64(120), "endpoints.ready": int64(120),
		"xds.cds.responses": int64(61), "xds.cds.resources": int64(1220), "xds.cds.bytes": int64(1_830_000), "xds.cds.removed": int64(0), "xds.cds.nacks": int64(0),
		"xds.wds.responses": int64(4100), "xds.wds.resources": int64(22_400), "xds.wds.bytes": int64(9_100_000), "xds.wds.removed": int64(300), "xds.wds.nacks": int64(0),
		"pushes.responses": int64(4161), "pushes.resources": int64(23_620), "pushes.bytes": int64(10_930_000), "pushes.wasted": int64(812),
		"changes.endpoint.count": int64(300), "changes.endpoint.pending": int64(0), "changes.endpoint.unobserved": int64(2),
		"changes.endpoint.p50": 112 * time.Millisecond, "changes.endpoint.p90": 180 * time.Millisecond,
		"changes.endpoint.p99": 312 * time.Millisecond, "changes.endpoint.max": 1204 * time.Millisecond,
		"istiod.cpu": 12.345, "istiod.rss": int64(312_000_000), "loadgen.cpu": 0.91, "loadgen.rss": int64(48_500_000),
	}
	for _, c := range []struct {
		path            string
		desired, synced int64
	}{{"xds", 70, 70}, {"xds.waypoint", 20, 20}, {"xds.ztunnel", 50, 50}} {
		r[c.path+".desired"], r[c.path+".open"], r[c.path+".synced"] = c.desired, c.desired, c.synced
		r[c.path+".rejected"], r[c.path+".nacks"], r[c.path+".disconnects"], r[c.path+".unanswered"] = int64(4), int64(0), int64(0), int64(0)
	}
	return r
}

func passedInput() Input {
	ms := func(n int) Seconds { return Seconds(time.Duration(n) * time.Millisecond) }
	arrivals := runtime.Arrivals{Planned: 150, Started: 150, LatenessP50: 90 * time.Microsecond, LatenessP99: 2400 * time.Microsecond, LatenessMax: 5 * time.Millisecond}
	churn := stepOutcome("churnPods", 17*time.Second, 47*time.Second, 17)
	churn.Arrivals = &arrivals
	return Input{
		Info: Info{
			ID: "7k2m9x", Scenario: "ambient", Description: "Namespaces of ambient workloads.", File: "scenarios/ambient.cue", Seed: 42,
			Params: []Param{{"namespaces", "10"}, {"rate", "5/s"}}, Target: "sandbox", Version: "v0.1.0", IstiodVersion: "1.31.0",
			Command: []string{"plscript", "run", "scenarios/ambient.cue"},
		},
		Outcome: &runtime.Outcome{
			Started: start, Ended: start.Add(48200 * time.Millisecond), Readings: sampleReadings(), Arrivals: arrivals,
			Phases: []runtime.PhaseOutcome{
				phaseOutcome("nodes", stepOutcome("createNodes", 0, 400*time.Millisecond, 14)),
				phaseOutcome("mesh", stepOutcome("createNamespaces", 400*time.Millisecond, 5100*time.Millisecond, 15)),
				phaseOutcome("settle", stepOutcome("wait", 5100*time.Millisecond, 17*time.Second, 16)),
				phaseOutcome("churn", churn),
			},
			Stages: []runtime.StageOutcome{{
				Stage: runtime.StageInjection, Doc: "requests to istiod's injection webhook", Count: 120, Errors: 1, P50: 6 * time.Millisecond,
				P90: 9 * time.Millisecond, P99: 21 * time.Millisecond, Max: 80 * time.Millisecond, Mean: 7 * time.Millisecond,
				LastErr: errors.New("istiod does not allow it: no template \"<none>\""),
			}},
			Thresholds: []runtime.ThresholdOutcome{
				{Name: "endpoint p99", Expr: "changes.endpoint.p99 < duration('1s')", Pos: pos(20), Passed: true, Values: map[string]string{"changes.endpoint.p99": "312ms"}},
				{Name: "nobody disconnected", Expr: "xds.disconnects == 0", Pos: pos(21), Passed: true, Values: map[string]string{"xds.disconnects": "0"}},
			},
		},
		Plan: []Planned{{Kind: "Pod", Verb: "create", Count: 270}, {Kind: "EndpointSlice", Verb: "update", Count: 311, Derived: true}},
		Writes: []Write{
			{Kind: "Pod", Verb: "create", Done: 270, Requests: 271, Retries: 1, Latency: Quantile{P50: ms(4), P90: ms(9), P99: ms(21), Max: ms(60)}},
			{Kind: "EndpointSlice", Verb: "update", Done: 280, Superseded: 31, Requests: 280, Latency: Quantile{P50: ms(5), P90: ms(11), P99: ms(30), Max: ms(71)}},
		},
		Sync: []SyncCheck{{
			Phase: "churn", At: start.Add(48 * time.Second), OK: true, ProxiesListed: 70, XDSOpen: 70,
			Types:      []SyncType{{Type: "CDS", Sent: 20, Acked: 20, Matched: 20}, {Type: "WDS", Sent: 50, Acked: 50, Matched: 50}},
			Mismatches: []string{},
		}},
	}
}

// failedInput is a run in which much went wrong, with texts that try to break out of every format.
func failedInput() Input {
	in := passedInput()
	boom := errors.New("createNamespaces: Namespace \"<b>ns-1</b>\" already exists\x1b[31m and is not plscript's")
	o := in.Outcome
	o.Phases[1].Steps[0].Status, o.Phases[1].Steps[0].Err, o.Phases[1].Steps[0].Tries = runtime.StatusFailed, boom, 3
	o.Phases[1].Status = runtime.StatusFailed
	o.Phases[2].Steps[0].Status, o.Phases[2].Status = runtime.StatusCancelled, runtime.StatusCancelled
	pending := stepOutcome("churnPods", 0, 0, 17)
	pending.Started, pending.Ended, pending.Status, pending.Name = time.Time{}, time.Time{}, runtime.StatusPending, "pods ]]> & go"
	o.Phases[3] = runtime.PhaseOutcome{Name: "churn", Status: runtime.StatusPending, Steps: []runtime.StepOutcome{pending}}
	o.Err = fmt.Errorf("%s: %w", pos(15), boom)
	o.Thresholds[0] = runtime.ThresholdOutcome{Name: "endpoint p99", Expr: "changes.endpoint.p99 < duration('1s')", Pos: pos(20), NoData: true}
	o.Thresholds[1].Passed, o.Thresholds[1].Aborted, o.Thresholds[1].Values = false, true, map[string]string{"xds.disconnects": "3"}
	o.Readings = runtime.Readings{"xds.desired": int64(70), "xds.open": int64(67), "xds.disconnects": int64(3), "istiod.cpu": 1.5}
	o.Arrivals, o.Exit = runtime.Arrivals{}, runtime.ExitAction
	in.Sync = []SyncCheck{FailedSync("mesh", start, 3, errors.New("asking istiod: connection refused"))}
	in.Cleanup = errors.New("3 objects are left: `plscript clean --run 7k2m9x` tries again")
	return in
}

// golden compares got with testdata/name, and writes it there if UPDATE is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (UPDATE=1 writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, UPDATE=1 accepts):\n%s", name, diff)
	}
}
