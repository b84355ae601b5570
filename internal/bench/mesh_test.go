package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime/report"
)

// TestMilestones: the runs of a title are a row of the milestones that they have, with what each process had used by then.
func TestMilestones(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := func(pace time.Duration, steps ...string) *report.Report {
		p := report.Phase{Name: "mesh", Started: began}
		for i, name := range append([]string{"createNodes"}, steps...) {
			p.Steps = append(p.Steps, report.Step{Name: name, Started: began.Add(time.Duration(i) * pace), Duration: report.Seconds(pace)})
		}
		return &report.Report{Phases: []report.Phase{p}}
	}
	seen := &observer{}
	for i := range 5 {
		s := sample{at: began.Add(time.Duration(i) * time.Second), cpu: map[string]time.Duration{}, rss: map[string]int64{}}
		for n, name := range servers {
			s.cpu[name], s.rss[name] = time.Duration(i*(n+1))*100*time.Millisecond, int64(i*(n+1))*1e6
		}
		seen.all = append(seen.all, s)
	}
	m := newMilestones()
	m.add("store", run(time.Second, "complete", "open", "synced"), seen)
	m.add("no streams", run(2*time.Second, "complete"), seen)
	m.add("no streams", run(time.Second, "complete"), seen)
	m.add("no streams", run(time.Second/2, "complete"), seen)
	const want = `
All pods run, all slices are complete:

| | time | CPU of plscript | CPU of etcd | CPU of kube-apiserver | CPU of istiod |
|---|---|---|---|---|---|
| store | **2.0** | 0.2 | 0.4 | 0.6 | 0.8 |
| no streams | **2.0** (1.0-4.0) | 0.2 (0.1-0.4) | 0.4 (0.2-0.8) | 0.6 (0.3-1.2) | 0.8 (0.4-1.6) |

All streams are open:

| | time | CPU of plscript | CPU of etcd | CPU of kube-apiserver | CPU of istiod |
|---|---|---|---|---|---|
| store | **3.0** | 0.3 | 0.6 | 0.9 | 1.2 |

All proxies are synced:

| | time | CPU of plscript | CPU of etcd | CPU of kube-apiserver | CPU of istiod |
|---|---|---|---|---|---|
| store | **4.0** | 0.4 | 0.8 | 1.2 | 1.6 |

Memory at most, MB:

| | plscript | etcd | kube-apiserver | istiod |
|---|---|---|---|---|
| store | 4 | 8 | 12 | 16 |
| no streams | 4 (4-4) | 8 (8-8) | 12 (12-12) | 16 (16-16) |
`
	if diff := cmp.Diff(want, m.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
