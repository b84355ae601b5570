package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// commandLine measures what runs without a cluster.
func commandLine(r *rig) (string, error) {
	out := `
## The command line

Whole processes; CPU and peak memory as the operating system counts them. Medians, with the least and the most in brackets.

| what | wall | CPU | peak memory | promised |
|---|---|---|---|---|
`
	for _, m := range measurements(r.dir) {
		row, err := m.measure(r.binary, r.dir, r.runs)
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.name, err)
		}
		out += row + "\n"
	}
	return out, nil
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
