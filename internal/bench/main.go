// Command bench measures what plscript promises about its own cost and writes docs/performance.md. It runs the binary
// as a user does and takes CPU and memory from the operating system's account of the finished process.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

func main() {
	binary := flag.String("plscript", "bin/plscript", "the `binary` to measure")
	out := flag.String("out", "docs/performance.md", "the `file` to write")
	runs := flag.Int("n", 5, "counted `runs` of each command, after one that is not counted")
	flag.Parse()
	if err := bench(*binary, *out, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(binary, out string, runs int) error {
	dir, err := os.MkdirTemp("", "plscript-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	page, err := header()
	if err != nil {
		return err
	}
	for _, m := range measurements(dir) {
		row, err := m.measure(binary, dir, runs)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintln(os.Stderr, row)
		page += row + "\n"
	}
	for _, file := range []string{"scenarios/ambient.cue", "scenarios/sidecar.cue", "scenarios/gateway.cue"} {
		section, err := scenario(binary, dir, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		fmt.Fprint(os.Stderr, section)
		page += section
	}
	section, err := load(binary, dir)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	fmt.Fprint(os.Stderr, section)
	return os.WriteFile(out, []byte(page+section), 0o644)
}

func header() (string, error) {
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "", fmt.Errorf("which commit is this: %w", err)
	}
	return fmt.Sprintf(`# Performance

Written by %s; do not edit. Commit %s, %s.

Whole processes on one machine; CPU and peak memory as the operating system counts them. Medians, with the least and the
most in brackets. A machine shared with others is noisy: read the ratios, and run it yourself.

## The command line

| what | wall | CPU | peak memory | promised |
|---|---|---|---|---|
`, "`make bench`", strings.TrimSpace(string(commit)), time.Now().UTC().Format("2006-01-02")), nil
}

// measurement is a command that is run several times.
type measurement struct {
	name    string
	args    []string
	promise string
}

const million = `name: "million"
phases: [{name: "mesh", steps: [{action: "createNamespaces", count: 1000, apps: [{name: "web", type: "sidecar", replicas: 10, pods: 100}]}]}]
`

func measurements(dir string) []measurement {
	return []measurement{
		{"`validate scenarios`", []string{"validate", "-q", "scenarios"}, "under 1 s"},
		{"`plan` of 1,000,000 pods", []string{"plan", filepath.Join(dir, "million.cue")}, "under 2 s and 200 MB"},
	}
}

func (m measurement) measure(binary, dir string, runs int) (string, error) {
	if err := os.WriteFile(filepath.Join(dir, "million.cue"), []byte(million), 0o600); err != nil {
		return "", err
	}
	var wall, cpu []time.Duration
	var rss []int64
	for i := range runs + 1 {
		cmd := exec.Command(binary, m.args...)
		began := time.Now()
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w\n%s", err, text)
		}
		if i == 0 {
			continue // warm-up
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		wall = append(wall, time.Since(began))
		cpu = append(cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		rss = append(rss, usage.Maxrss)
	}
	slices.Sort(rss)
	return fmt.Sprintf("| %s | %s | %s | %d MB | %s |", m.name, spread(wall), spread(cpu), rss[len(rss)/2]/1000, m.promise), nil
}

func spread(d []time.Duration) string {
	slices.Sort(d)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	return fmt.Sprintf("%d ms (%d-%d)", ms(d[len(d)/2]), ms(d[0]), ms(d[len(d)-1]))
}

// ambientWaypoint is the mesh that is called 10k pods elsewhere: 100 namespaces, 1,100 services, 10,200 pods, 250 proxies.
const ambientWaypoint = `name: "ambient-waypoint"
phases: [
	{name: "nodes", steps: [{action: "createNodes", count: 50, ztunnel: true}]},
	{name: "write", steps: [{action: "createNamespaces", count: 100, waypoint: "waypoint", apps: [
		{name: "waypoint", type: "waypoint", pods: 2}, {name: "app", type: "ambient", replicas: 10, pods: 10},
	]}]},
	{name: "complete", steps: [{action: "wait", until: "pods.ready == pods.desired && endpoints.ready == endpoints.desired && pods.desired == 10200"}]},
	{name: "streams", steps: [{action: "wait", until: "xds.synced == xds.desired"}]},
]
`

// load measures how long a large mesh takes to be there, and at what cost.
func load(binary, dir string) (string, error) {
	file := filepath.Join(dir, "load.cue")
	if err := os.WriteFile(file, []byte(ambientWaypoint), 0o600); err != nil {
		return "", err
	}
	r, err := run(binary, dir, file)
	if err != nil {
		return "", err
	}
	v := reader(r)
	out := `
## A mesh of 10,200 pods

100 namespaces, 1,100 services, 10,200 pods and 250 proxies (50 ztunnels, 200 waypoint pods with their workload subscription),
from a ready sandbox, written into the sandbox's store.

| phase | seconds |
|---|---|
`
	for _, p := range r.Phases {
		out += fmt.Sprintf("| %s | %.1f |\n", p.Name, time.Duration(p.Duration).Seconds())
	}
	return out + fmt.Sprintf(`
CPU: plscript %.1f s, istiod %.1f s. Memory: plscript %.0f MB, istiod %.0f MB. Received: %.0f MB.
`, v("loadgen.cpu"), v("istiod.cpu"), v("loadgen.rss")/1e6, v("istiod.rss")/1e6, v("pushes.bytes")/1e6), nil
}

// scenario runs one scenario on a private sandbox and quotes its report.
func scenario(binary, dir, file string) (string, error) {
	r, err := run(binary, dir, file)
	if err != nil {
		return "", err
	}
	v := reader(r)
	return fmt.Sprintf(`
## %s

One run of %.0f s on a private sandbox with istiod's defaults: %.0f pods, %.0f streams, %.0f endpoint changes.

| | plscript | istiod |
|---|---|---|
| CPU | %.2f s | %.2f s |
| memory | %.0f MB | %.0f MB |

| | p50 | p90 | p99 | max |
|---|---|---|---|---|
| endpoint change, scheduled write to a proxy's ACK | %.0f ms | %.0f ms | %.0f ms | %.0f ms |

Received: %.0f responses, %.0f resources, %.1f MB. Arrivals started late by %.1f ms at p99.
`, "`"+file+"`", time.Duration(r.Run.Duration).Seconds(), v("pods.ready"), v("xds.open"), v("changes.endpoint.count"),
		v("loadgen.cpu"), v("istiod.cpu"), v("loadgen.rss")/1e6, v("istiod.rss")/1e6,
		v("changes.endpoint.p50")*1e3, v("changes.endpoint.p90")*1e3, v("changes.endpoint.p99")*1e3, v("changes.endpoint.max")*1e3,
		v("pushes.responses"), v("pushes.resources"), v("pushes.bytes")/1e6, v("loadgen.lateness")*1e3), nil
}

// run runs a scenario on a private sandbox and reads its report.
func run(binary, dir, file string) (*report.Report, error) {
	out := filepath.Join(dir, strings.TrimSuffix(filepath.Base(file), ".cue"))
	cmd := exec.Command(binary, "run", "-q", "--out", out, file)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	found, err := filepath.Glob(filepath.Join(out, "*", report.FileJSON))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("reports: %v, %w", found, err)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return nil, err
	}
	r := &report.Report{}
	return r, json.Unmarshal(content, r)
}

// reader reads a report's measures as numbers, 0 for one without data.
func reader(r *report.Report) func(path string) float64 {
	return func(path string) float64 {
		n, _ := r.Readings[path].(float64)
		return n
	}
}
