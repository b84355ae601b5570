package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plscript/plscript/sandbox/internal/filelock"
	"github.com/plscript/plscript/sandbox/internal/process"
)

// The names of the processes.
const (
	nameEtcd      = "etcd"
	nameAPIServer = "kube-apiserver"
	nameIstiod    = "istiod"
)

const (
	// markVariable is in the environment of every process, and holds the folder of its sandbox: so those are found that were
	// started a moment before their maker was killed.
	markVariable = "PLSCRIPT_SANDBOX"
	// checkEvery is how often Wait looks whether the processes live.
	checkEvery = 200 * time.Millisecond
	// stopTimeout is how long killed processes may take to be gone.
	stopTimeout = 10 * time.Second
)

// Sandbox is a running sandbox. Its methods may be called from several goroutines.
type Sandbox struct {
	Info
	store  store
	istiod process.Spec // for another start

	owner  *filelock.Lock  // proves to others that this sandbox has a living owner; nil when it needs none
	thread *process.Thread // of a private sandbox: its processes live no longer than it

	mu        sync.Mutex
	processes []*process.Process // those that are meant to run
	ready     bool               // the start was completed
	stopped   bool
}

// PIDs are the process ids of a sandbox; 0 for one that is not meant to run at present.
type PIDs struct{ Etcd, APIServer, Istiod int }

// PIDs returns the process ids, as for reading how much CPU each has used.
func (s *Sandbox) PIDs() PIDs {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pids PIDs
	for _, p := range s.processes {
		switch p.Name {
		case nameEtcd:
			pids.Etcd = p.PID
		case nameAPIServer:
			pids.APIServer = p.PID
		case nameIstiod:
			pids.Istiod = p.PID
		}
	}
	return pids
}

// Wait returns when one of the processes ends that nobody here ended, with a *ProcessError, when the sandbox is stopped,
// with nil, or when ctx ends, with its cause.
func (s *Sandbox) Wait(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		if done, err := s.check(); done {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (s *Sandbox) check() (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return true, nil
	}
	for _, p := range s.processes {
		if !p.Alive() {
			return true, newProcessError(p)
		}
	}
	return false, nil
}

// KillIstiod ends istiod as a crash would, and returns when it is gone. Wait does not report it.
func (s *Sandbox) KillIstiod(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.processes {
		if p.Name != nameIstiod {
			continue
		}
		if err := p.Kill(ctx); err != nil {
			return err
		}
		s.processes = append(s.processes[:i:i], s.processes[i+1:]...)
		return s.save()
	}
	return nil
}

// RestartIstiod ends istiod if it runs, starts it on the same ports, and returns when it is ready.
func (s *Sandbox) RestartIstiod(ctx context.Context) error {
	if err := s.KillIstiod(ctx); err != nil {
		return err
	}
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	c, err := newCluster(config)
	if err != nil {
		return err
	}
	if err := s.startIstiod(ctx, c); err != nil {
		return fmt.Errorf("restarting istiod: %w", err)
	}
	return nil
}

// Stop ends the processes and removes all files, even when ctx has ended already. Stopping twice is no error.
func (s *Sandbox) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	err := killAll(ctx, s.processes)
	if s.thread != nil {
		s.thread.Close()
	}
	return errors.Join(err, s.store.remove(ctx, s.Dir, s.owner))
}

// killAll ends the processes and returns when they are gone, whether or not ctx has ended.
func killAll(ctx context.Context, processes []*process.Process) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var failures []error
	for i := len(processes) - 1; i >= 0; i-- { // the last to come is the first to go: it depends on the others
		failures = append(failures, processes[i].Kill(ctx))
	}
	return errors.Join(failures...)
}

// run starts one of the sandbox's processes in its folder, with nothing of our own environment but what is named here.
func (s *Sandbox) run(spec process.Spec) (*process.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, fmt.Errorf("starting %s: the sandbox is stopped", spec.Name)
	}
	spec.Dir = s.Dir
	spec.Log = s.logFile(spec.Name)
	spec.Env = append([]string{markVariable + "=" + s.Dir, "HOME=" + s.Dir, "TMPDIR=" + s.Dir}, spec.Env...)
	launch := process.LaunchDetached
	if s.thread != nil {
		launch = s.thread.Launch
	}
	p, err := launch(spec)
	if err != nil {
		return nil, err
	}
	s.processes = append(s.processes, p)
	return p, s.save()
}
