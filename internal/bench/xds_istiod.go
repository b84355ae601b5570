package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

const (
	syncProxies = 60
	syncRuns    = 3 // of each way to authenticate
)

// syncMesh is 400 services and 4,000 endpoints, 60 of them sidecars. Its own streams warm istiod up, and are gone with its run.
const syncMesh = `name: "xds-mesh"
phases: [{name: "mesh", steps: [
	{action: "createNamespaces", count: 1, name: "services", apps: [{name: "web", replicas: 394, pods: 10}]},
	{action: "createNamespaces", count: 1, name: "clients", apps: [{name: "client", type: "sidecar", replicas: 6, pods: 10, inject: "none", csr: false}]},
	{action: "wait", until: "pods.ready == 4000 && endpoints.ready == 4000 && xds.synced == 60"},
]}]
`

// syncText opens the streams of the sidecars that syncMesh has left. Nothing happens around it, so that what the phase
// costs can be told apart.
const syncText = `name: "xds-sync"
phases: [
	{name: "before", steps: [{action: "sleep", for: "3s"}]},
	{name: "sync", steps: [
		{action: "impersonate", namespace: "clients", background: true},
		{action: "wait", until: "xds.desired == 60 && xds.synced == 60"},
	]},
	{name: "after", steps: [{action: "sleep", for: "3s"}]},
]
thresholds: [{expr: "xds.synced == 60 && xds.nacks == 0 && xds.disconnects == 0"}]
`

// quietEdge is how far the count of CPU reaches into the phases around the one that is measured: the observer, which
// looks a few times a second, then misses nothing.
const quietEdge = time.Second

// box is a sandbox that outlives the runs on it.
type box struct {
	*rig
	name      string
	interrupt chan os.Signal
}

// meshBox starts a sandbox for a mesh of sidecars and loads syncMesh. An interrupt ends the commands, and not this process before it is down.
func meshBox(r *rig) (*box, error) {
	b := &box{rig: r, name: fmt.Sprintf("bench-%d", os.Getpid()), interrupt: make(chan os.Signal, 1)}
	signal.Notify(b.interrupt, os.Interrupt, syscall.SIGTERM)
	if err := b.command("sandbox", "up", b.name, "--profile", "default"); err != nil {
		return nil, errors.Join(err, b.down())
	}
	file, err := r.write("xds-mesh", syncMesh)
	if err == nil {
		_, err = r.run(file, "--sandbox", b.name, "--keep")
	}
	if err != nil {
		return nil, errors.Join(err, b.down())
	}
	return b, nil
}

func (b *box) down() error {
	defer signal.Stop(b.interrupt)
	return b.command("sandbox", "down", b.name)
}

func (b *box) command(args ...string) error {
	if text, err := exec.Command(b.binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("plscript %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}

// measure returns what the sidecars cost in each way to authenticate, and a file with what istiod answers one of them.
func (b *box) measure() (rows []row, recording string, err error) {
	file, err := b.write("xds-sync", syncText)
	if err != nil {
		return nil, "", err
	}
	for _, mode := range []struct{ auth, title, promised string }{
		{"plaintext", "plaintext", "400 ms"}, {"jwt", "jwt and TLS", ""},
	} {
		var cost syncCost
		for range syncRuns {
			rep, seen, err := b.watch(file, "--sandbox", b.name, "--auth", mode.auth)
			if err == nil {
				err = cost.add(rep, seen)
			}
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", mode.title, err)
			}
			if len(b.interrupt) > 0 {
				return nil, "", errors.New("interrupted")
			}
		}
		rows = append(rows, cost.rows(mode.title, mode.promised)...)
	}
	recording = filepath.Join(b.dir, "sidecar.rec.gz")
	return rows, recording, b.command("record", "--sandbox", b.name, "--namespace", "clients", "--out", recording)
}

// syncCost is what some runs of syncText took.
type syncCost struct {
	phase, whole, istiod []time.Duration // CPU
	bytes                float64         // received, of the last one
}

// add takes in a run, unless what it measured is not what was asked for.
func (c *syncCost) add(rep *report.Report, seen *observer) error {
	from, to, err := syncPhase(rep)
	if err != nil {
		return err
	}
	v := reader(rep)
	c.bytes = v("pushes.bytes")
	if c.bytes == 0 {
		return errors.New("nothing was received")
	}
	c.phase = append(c.phase, seen.between("plscript", from.Add(-quietEdge), to.Add(quietEdge)))
	c.whole = append(c.whole, seen.total)
	c.istiod = append(c.istiod, time.Duration(v("istiod.cpu")*float64(time.Second)))
	return nil
}

// syncPhase is when the sidecars began and when all were synced, if istiod agrees that they are.
func syncPhase(rep *report.Report) (from, to time.Time, err error) {
	const name = "sync"
	checked := slices.IndexFunc(rep.Sync, func(s report.SyncCheck) bool { return s.Phase == name })
	phase := slices.IndexFunc(rep.Phases, func(p report.Phase) bool { return p.Name == name })
	if checked < 0 || phase < 0 {
		return from, to, errors.New("the report does not say when, or what istiod thinks of it")
	}
	if s := rep.Sync[checked]; !s.OK || s.ProxiesListed != syncProxies {
		return from, to, fmt.Errorf("istiod lists %d proxies; %s", s.ProxiesListed, strings.Join(append(s.Mismatches, s.Error), "; "))
	}
	from = rep.Phases[phase].Started
	return from, from.Add(time.Duration(rep.Phases[phase].Duration)), nil
}

func (c *syncCost) rows(title, promised string) []row {
	phase := spread(c.phase) // sorts
	median := c.phase[len(c.phase)/2].Seconds() * 1e3
	return []row{
		{fmt.Sprintf("CPU of the client while %d sidecars sync, %s", syncProxies, title), phase, promised},
		{fmt.Sprintf("a MB of the %.0f received; a sidecar", c.bytes/1e6), fmt.Sprintf("%.2f ms; %.1f ms", median/(c.bytes/1e6), median/syncProxies), ""},
		{"CPU of the process from its start to its end; of istiod meanwhile", spread(c.whole) + "; " + spread(c.istiod), ""},
	}
}
