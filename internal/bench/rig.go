package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

// rig is what all measurements share.
type rig struct {
	binary, dir string
	runs        int // of each command that is quick
	made        int // folders of reports so far
	peer        peer
}

// peer is another load tool to compare with; without a binary there is none.
type peer struct{ binary, args string }

// write puts a scenario of the bench's own into a file.
func (r *rig) write(name, text string) (file string, err error) {
	file = filepath.Join(r.dir, name+".cue")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// run runs a scenario on a private sandbox and reads its report.
func (r *rig) run(file string, flags ...string) (*report.Report, error) {
	rep, _, err := r.watch(file, flags...)
	return rep, err
}

// watch is run, which also tells what the sandbox's processes took.
func (r *rig) watch(file string, flags ...string) (*report.Report, *observer, error) {
	r.made++
	out := filepath.Join(r.dir, strconv.Itoa(r.made))
	log, err := os.Create(out + ".log")
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.Command(r.binary, append([]string{"run", "-q", "--out", out}, append(flags, file)...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	seen := observe(cmd.Process.Pid)
	err = cmd.Wait()
	seen.stop()
	seen.total = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, nil, fmt.Errorf("%w\n%s", err, text)
	}
	rep, err := readReport(out)
	return rep, seen, err
}

func readReport(out string) (*report.Report, error) {
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

// steps is how long the steps of a phase took, without what is checked at its end.
func steps(r *report.Report, phase string) (sum time.Duration) {
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if p.Name == phase && !s.Background {
				sum += time.Duration(s.Duration)
			}
		}
	}
	return sum
}
