package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

// ambientWaypoint is the mesh that is called 10k pods elsewhere: 100 namespaces, 1,100 services, 10,200 pods, 250 proxies. One
// phase, so that nothing is checked between its steps.
const ambientWaypoint = `name: "ambient-waypoint"
phases: [{name: "mesh", steps: [
	{action: "createNodes", count: 50, ztunnel: true},
	{action: "createNamespaces", count: 100, waypoint: "waypoint", apps: [
		{name: "waypoint", type: "waypoint", pods: 2}, {name: "app", type: "ambient", replicas: 10, pods: 10},
	]},
	{action: "wait", name: "complete", until: "pods.ready == pods.desired && endpoints.ready == endpoints.desired && pods.desired == 10200"},
	{action: "wait", name: "open", until: "xds.open == xds.desired"},
	{action: "wait", name: "synced", until: "xds.synced == xds.desired"},
]}]
`

// servers are what runs beside plscript in a sandbox, by the names of their processes.
var servers = []string{"plscript", "etcd", "kube-apiserver", "istiod"}

// mesh measures how long a large mesh takes to be there, and at what cost, through each backend, and without streams. What is
// quick is done several times, in turns.
func mesh(r *rig) (string, error) {
	const turns = 3
	runs := []struct {
		title, text string
		turns       int
		flags       []string
	}{
		{"store, waypoints without workloads", ambientWaypoint + "proxies: workloads: false\n", turns, nil},
		{"store", ambientWaypoint, turns, nil},
		{"store, no streams", withoutProxies(ambientWaypoint), turns, nil},
		{"api", ambientWaypoint, 1, []string{"--writer", "api"}},
	}
	m := newMilestones()
	for turn := range turns {
		for i, run := range runs {
			if turn >= run.turns {
				continue
			}
			file, err := r.write(fmt.Sprintf("mesh%d", i), run.text)
			if err != nil {
				return "", err
			}
			rep, seen, err := r.watch(file, run.flags...)
			if err != nil {
				return "", fmt.Errorf("%s: %w", run.title, err)
			}
			m.add(run.title, rep, seen)
		}
	}
	return `
## A mesh of 10,200 pods

100 namespaces, 1,100 services, 10,200 pods and 250 proxies (50 ztunnels, which are told of every workload, and 200 waypoint pods) in a
ready sandbox: written into its store, with and without what waypoints ask of workloads; the same without any stream; and through
the api-server. Times and CPU are seconds from the first step on. Promised are 4 s until all pods run, streams open within 13 s
of that (istiod admits 25 a second on two cores), and 1.5 s of CPU of plscript in the first row. Medians of three runs in turns, one
through the api-server, with the least and the most in brackets.
` + m.String(), nil
}

// withoutProxies is the same mesh with nothing that connects to istiod.
func withoutProxies(text string) string {
	return strings.NewReplacer(`, ztunnel: true`, "", `waypoint: "waypoint", `, "", `type: "waypoint", `, "",
		`	{action: "wait", name: "open", until: "xds.open == xds.desired"},
	{action: "wait", name: "synced", until: "xds.synced == xds.desired"},
`, "").Replace(text)
}

// huge loads the largest mesh that is shipped.
func huge(r *rig) (string, error) {
	var t medians
	var v func(string) float64
	for range 3 {
		rep, seen, err := r.watch("scenarios/huge.cue")
		if err != nil {
			return "", err
		}
		t.costs("store", rep, seen)
		v = reader(rep)
	}
	return fmt.Sprintf(`
## `+"`scenarios/huge.cue`"+`

%.0f pods in %.0f services on a private sandbox, until all slices are complete ("mesh"), and then one proxy that is told of all
of it ("serve"): %.1f MB. Medians of three runs, with the least and the most in brackets.

`, v("pods.ready"), v("services.created"), v("pushes.bytes")/1e6) + t.String(), nil
}

// costs adds how long each phase of a run took, and what each process used from the first to the end and held at most.
func (t *medians) costs(column string, rep *report.Report, seen *observer) {
	for _, p := range rep.Phases {
		t.add(p.Name+", s", column, "%.1f", steps(rep, p.Name).Seconds())
	}
	from, to := rep.Phases[0].Started, rep.Run.Ended
	for _, name := range servers {
		t.add("CPU of "+name+", s", column, "%.1f", seen.between(name, from, to).Seconds())
	}
	for _, name := range servers {
		t.add("memory of "+name+", MB", column, "%.0f", float64(seen.peak(name))/1e6)
	}
}

// soakPods is how many sidecars soakText has.
const soakPods = 1000

// soakText is a mesh of the size of the readme's rule of thumb, at rest but for its jitter.
const soakText = `name: "soak"
phases: [
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 10, apps: [{name: "app", type: "sidecar", replicas: 10, pods: 10}]},
		{action: "apply", scope: "namespace", objects: [{
			apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: name: "route"
			spec: {hosts: ["app-0"], http: [{timeout: "${string(generation + 1)}s", route: [{destination: host: "app-0"}]}]}
		}]},
		{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired", timeout: "20m"},
	]},
	{name: "steady", parallel: true, steps: [
		{action: "churnPods", rate: "1/10s", duration: "5m"},
		{action: "churnConfig", rate: "1/s", duration: "5m"},
	]},
]
`

// soak holds a mesh of 1,000 sidecars for five minutes, with either of the profiles that Istio may be installed with.
func soak(r *rig) (string, error) {
	var t table
	for _, profile := range []string{"default", "ambient"} {
		file, err := r.write("soak-"+profile, fmt.Sprintf("sandbox: profile: %q\n", profile)+soakText)
		if err != nil {
			return "", err
		}
		rep, seen, err := r.watch(file)
		if err != nil {
			return "", fmt.Errorf("%s profile: %w", profile, err)
		}
		t.steady(profile+" profile", rep, seen)
		if err := t.floor(profile+" profile", rep); err != nil {
			return "", fmt.Errorf("%s profile: %w", profile, err)
		}
	}
	return `
## 1,000 sidecars for five minutes

1,000 pods with synced sidecars on a private sandbox; one pod is replaced every 10 s and one VirtualService changed every second,
which istiod tells every sidecar: what plscript takes is what istiod finds the time to send. Cores are of the five minutes. With
the ambient profile sidecars speak HBONE and are told of every workload too. The tool that this one replaces asks for "1 CPU
and 1 GB" of api-server and etcd, and 1 CPU of its own, at this size. Then as many responses of the same size are sent by a server that replays
istiod's, to processes that do nothing else: the pool of XDS streams alone, and on Linux a bare reader, one thread on epoll, which reads,
counts, acknowledges and looks at nothing.

` + t.String(), nil
}

// steady adds what each process used during the last phase of a run and held at most, and what the proxies received in all.
func (t *table) steady(column string, rep *report.Report, seen *observer) {
	phase := rep.Phases[len(rep.Phases)-1]
	from, took := phase.Started, time.Duration(phase.Duration)
	for _, name := range servers {
		cores := seen.between(name, from, from.Add(took)).Seconds() / took.Seconds()
		t.set("cores of "+name, column, fmt.Sprintf("%.3f", cores))
	}
	for _, name := range servers {
		t.set("memory of "+name+", MB", column, fmt.Sprintf("%.0f", float64(seen.peak(name))/1e6))
	}
	v := reader(rep)
	t.set("responses received", column, fmt.Sprintf("%.0f", v("pushes.responses")))
	t.set("received, GB", column, fmt.Sprintf("%.1f", v("pushes.bytes")/1e9))
	t.set("p50 of route changes, s", column, fmt.Sprintf("%.1f", v("changes.route.p50")))
}
