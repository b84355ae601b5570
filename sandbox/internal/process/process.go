// Package process starts, recognises and ends the sandbox's processes.
//
// There are two ways to start one. A Thread starts processes that die with this one, even when it is killed by SIGKILL.
// LaunchDetached starts processes that outlive it; they are found again by their ID, which survives the reuse of process ids.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Spec says what to start.
type Spec struct {
	Name string   `json:"name"` // for messages: "etcd", "istiod"
	Path string   `json:"path"` // the program
	Args []string `json:"args"` // without the program's name
	Env  []string `json:"env"`  // the whole environment, nothing is inherited
	Dir  string   `json:"dir"`  // working directory
	Log  string   `json:"log"`  // file that receives both output streams, appended to, 0600
}

// Process is one that was started here, or that an earlier plscript started.
type Process struct {
	Name string `json:"name"`
	ID
	Log string `json:"log"`

	reaped chan struct{} // closed once a child of ours has been waited for; nil for a process that is not our child
	exit   string
}

// pollEvery is how often the end of a process that is not our child is looked for.
const pollEvery = 5 * time.Millisecond

// launch starts spec by calling start, and sees to it that the child is waited for.
func launch(spec Spec, configure func(*exec.Cmd), start func(*exec.Cmd) error) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Env, spec.Dir, log, log
	configure(cmd)
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	// A child cannot be mistaken before it has been waited for, even if it has ended already: then Alive says so.
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		id = ID{PID: cmd.Process.Pid}
	}
	p := &Process{Name: spec.Name, ID: id, Log: spec.Log, reaped: make(chan struct{})}
	go func() {
		cmd.Wait() // its error only repeats the state
		p.exit = cmd.ProcessState.String()
		close(p.reaped)
	}()
	return p, nil
}

// LaunchDetached starts a process in a session of its own, so that it outlives this process and its terminal.
func LaunchDetached(spec Spec) (*Process, error) {
	return launch(spec, detach, (*exec.Cmd).Start)
}

// Ended reports whether the process has ended and, if it was a child of ours, has been waited for. Of a child it is known
// without a look at the system's list of processes, which is dear for one with as many threads as an api-server.
func (p *Process) Ended() bool {
	if p.reaped == nil {
		return !p.Alive()
	}
	select {
	case <-p.reaped:
		return true
	default:
		return false
	}
}

// Exit says how the process ended ("exit status 1", "signal: killed"), or is empty when that is not known.
func (p *Process) Exit() string {
	if p.reaped == nil {
		return ""
	}
	<-p.reaped
	return p.exit
}

// Kill ends the process at once and returns when it is gone, or when ctx ends. There is nothing to save: what the sandbox's
// processes hold is thrown away with them.
func (p *Process) Kill(ctx context.Context) error {
	if err := p.ID.Kill(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	if p.reaped != nil {
		select {
		case <-p.reaped:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s: waiting for process %d to end: %w", p.Name, p.PID, context.Cause(ctx))
		}
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for p.Alive() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: waiting for process %d to end: %w", p.Name, p.PID, context.Cause(ctx))
		}
	}
	return nil
}
