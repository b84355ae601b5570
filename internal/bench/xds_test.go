package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

// syncReport is what a good run of syncText reports.
func syncReport() *report.Report {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &report.Report{
		Phases: []report.Phase{
			{Name: "before", Started: began, Duration: report.Seconds(3 * time.Second)},
			{Name: "sync", Started: began.Add(3 * time.Second), Duration: report.Seconds(6 * time.Second)},
			{Name: "after", Started: began.Add(9 * time.Second), Duration: report.Seconds(3 * time.Second)},
		},
		Sync:     []report.SyncCheck{{Phase: "before", Mismatches: []string{"a proxy of an earlier run"}}, {Phase: "sync", OK: true, ProxiesListed: syncProxies}},
		Readings: map[string]any{"pushes.bytes": 150e6, "istiod.cpu": 11.5},
	}
}

// seenEvery is an observer that looked every half second from a moment on; what the client had used is in ms.
func seenEvery(from time.Time, used ...int) *observer {
	o := &observer{total: 700 * time.Millisecond}
	for i, ms := range used {
		o.all = append(o.all, sample{at: from.Add(time.Duration(i) * 500 * time.Millisecond), cpu: map[string]time.Duration{"plscript": time.Duration(ms) * time.Millisecond}})
	}
	return o
}

func TestSyncCountsThePhaseAlone(t *testing.T) {
	t.Parallel()
	rep := syncReport()
	used := make([]int, 24) // 12 s
	for i := range used {
		switch {
		case i < 2:
			used[i] = 100 * i // reading the scenario
		case i < 7:
			used[i] = 200
		case i < 19:
			used[i] = 200 + 25*(i-6)
		default:
			used[i] = 500
		}
	}
	used[23] = 640 // writing the report
	var c syncCost
	if err := c.add(rep, seenEvery(rep.Phases[0].Started, used...)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.rows("plaintext", "400 ms") {
		got = append(got, r.what+"|"+r.measured+"|"+r.promised)
	}
	want := []string{
		"CPU of the client while 60 sidecars sync, plaintext|300 ms (300-300)|400 ms",
		"a MB of the 150 received; a sidecar|2.00 ms; 5.0 ms|",
		"CPU of the process from its start to its end; of istiod meanwhile|700 ms (700-700); 11500 ms (11500-11500)|",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSyncRefusesWhatItDidNotAskFor(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*report.Report){
		"istiod disagrees":       func(r *report.Report) { r.Sync[1].OK = false },
		"istiod lists others":    func(r *report.Report) { r.Sync[1].ProxiesListed++ },
		"istiod was not asked":   func(r *report.Report) { r.Sync = nil },
		"only before":            func(r *report.Report) { r.Sync = r.Sync[:1] },
		"the phase did not come": func(r *report.Report) { r.Phases = r.Phases[:1] },
		"nothing was received":   func(r *report.Report) { delete(r.Readings, "pushes.bytes") },
	} {
		rep := syncReport()
		spoil(rep)
		if err := new(syncCost).add(rep, seenEvery(rep.Run.Started)); err == nil {
			t.Errorf("%s: counted", name)
		}
	}
}

func TestReplayRowsWantEveryFigure(t *testing.T) {
	t.Parallel()
	all := func() figures {
		idle := func() map[string]float64 {
			return map[string]float64{"streams": 10000, "RSS-KB/stream": 17.04, "idle-cores": 0.0012, "push-cpu-ms": 240, "push-ms": 300.4}
		}
		return figures{
			"Sync":                        {"cpu-ms/op": 151, "cpu-ms/MB": 0.934, "cpu-ms/proxy": 2.51},
			"Memory":                      {"KB/proxy": 51.7},
			"Idle/streamsPerConnection=1": idle(), "Idle/streamsPerConnection=100": idle(),
			"Peer": {"peer-cpu-ms/op": 3070, "cpu-ms/op": 153.5, "peer/pool": 20},
		}
	}
	q := quoter{figures: all()}
	text := rowTable(append(q.replay(), q.peer()...))
	if q.err != nil {
		t.Fatal(q.err)
	}
	for _, want := range []string{"| 151 ms |", "| 0.93 ms; 2.5 ms |", "| 52 KB | 75 KB |", "| 10000; 10000 |", "| 17.0 KB | 60 KB |", "| 0.001; 0.001 | 0.1 |", "| 240 ms; 300 ms |", "| 3070 ms; 154 ms |", "| 20.0 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for name, units := range all() {
		for unit := range units {
			f := all()
			delete(f[name], unit)
			q := quoter{figures: f}
			q.replay()
			q.peer()
			if q.err == nil {
				t.Errorf("%s has no %s, and nobody minds", name, unit)
			}
		}
	}
}
