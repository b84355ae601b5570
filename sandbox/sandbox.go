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
	nameEtcd       = "etcd"
	nameAPIServer  = "kube-apiserver"
	nameController = "kube-controller-manager"
	nameIstiod     = "istiod" // the first; the others have their number behind it
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
	store   store
	istiods []process.Spec // for another start

	owner  *filelock.Lock  // proves to others that this sandbox has a living owner; nil when it needs none
	thread *process.Thread // of a private sandbox: its processes live no longer than it

	mu        sync.Mutex
	processes []*process.Process // those that are meant to run
	ready     bool               // the start was completed
	stopped   bool
}

// PIDs are the process ids of a sandbox; 0 for one that is not meant to run at present.
type PIDs struct {
	Etcd, APIServer int
	Istiod          int // the first one; see [Sandbox.IstiodPIDs]
	Controllers     int // 0 in a sandbox without a kube-controller-manager
}

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
		case nameController:
			pids.Controllers = p.PID
		}
	}
	return pids
}

// IstiodPIDs returns the process ids of all istiods, in their order; 0 for one that is not meant to run at present.
func (s *Sandbox) IstiodPIDs() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	pids := make([]int, len(s.Ports.istiods()))
	for _, p := range s.processes {
		for i := range pids {
			if p.Name == istiodName(i) {
				pids[i] = p.PID
			}
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
		if p.Ended() {
			return true, newProcessError(p)
		}
	}
	return false, nil
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
