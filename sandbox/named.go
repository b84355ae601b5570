package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/plscript/plscript/sandbox/internal/filelock"
)

// Condition is what a named sandbox is found to be.
type Condition string

// The conditions. A dead sandbox is removed by Sweep, by the next Start or Up, and by Down; a broken one only by Down, so that its logs can be
// read.
const (
	Starting Condition = "starting" // someone is making it
	Running  Condition = "running"  // all its processes live
	Broken   Condition = "broken"   // some of its processes live
	Dead     Condition = "dead"     // none of them lives, or its start was cut short
)

// Status describes a named sandbox.
type Status struct {
	Info
	Condition Condition
	Processes []ProcessStatus
}

// ProcessStatus describes one of its processes.
type ProcessStatus struct {
	Name  string
	PID   int
	Alive bool
	Log   string // path of its log
}

// In all these functions stateDir is Config.StateDir; empty means DefaultStateDir.

// Open returns the named sandbox that Up made, perhaps long ago and elsewhere. The error matches ErrNotFound when there is none. A
// sandbox whose processes do not all live cannot be opened.
func Open(ctx context.Context, name, stateDir string) (*Sandbox, error) {
	s, dir, err := locate(name, stateDir)
	if err != nil {
		return nil, err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	status, err := inspect(dir)
	if err != nil {
		return nil, err
	}
	if status.Condition != Running {
		return nil, fmt.Errorf("sandbox %s is %s", name, status.Condition)
	}
	st, err := loadState(dir)
	if err != nil {
		return nil, err
	}
	return &Sandbox{Info: st.Info, store: s, istiods: st.Istiods, processes: st.Processes, ready: true}, nil
}

// Down ends a named sandbox, whatever its condition, and removes its files. The error matches ErrNotFound when there is none, and
// ErrExists when it is just being started by someone else.
func Down(ctx context.Context, name, stateDir string) error {
	s, dir, err := locate(name, stateDir)
	if err != nil {
		return err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	owner, err := filelock.Try(filepath.Join(dir, ownerLock))
	if errors.Is(err, filelock.ErrHeld) {
		return fmt.Errorf("sandbox %s: %w, and is being started", name, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("sandbox %s: %w", name, err)
	}
	defer owner.Release()
	return eraseAll(ctx, dir)
}

// List describes all named sandboxes, in the order of their names.
func List(ctx context.Context, stateDir string) ([]Status, error) {
	s, err := openStore(stateDir)
	if err != nil {
		return nil, err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	dirs, err := s.dirs()
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, dir := range dirs {
		if isPrivate(dir) {
			continue
		}
		status, err := inspect(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	return all, nil
}

// Sweep removes what dead sandboxes have left, named and private, and returns their names. log may be nil.
func Sweep(ctx context.Context, stateDir string, log *slog.Logger) ([]string, error) {
	s, err := openStore(stateDir)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return s.sweep(ctx, log)
}

func openStore(stateDir string) (store, error) {
	c, err := Config{StateDir: stateDir}.withDefaults()
	return store{dir: c.StateDir}, err
}

// locate finds the folder of a named sandbox.
func locate(name, stateDir string) (store, string, error) {
	if err := ValidateName(name); err != nil {
		return store{}, "", err
	}
	s, err := openStore(stateDir)
	if err != nil {
		return store{}, "", err
	}
	dir := filepath.Join(s.dir, name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return store{}, "", fmt.Errorf("%w: %s", ErrNotFound, name)
	} else if err != nil {
		return store{}, "", fmt.Errorf("sandbox %s: %w", name, err)
	}
	return s, dir, nil
}

// inspect finds out how the sandbox in dir is. Hold the store's lock.
func inspect(dir string) (Status, error) {
	owner, err := filelock.Try(filepath.Join(dir, ownerLock))
	held := errors.Is(err, filelock.ErrHeld)
	if err != nil && !held {
		return Status{}, err
	}
	if owner != nil {
		owner.Release()
	}
	st, err := loadState(dir)
	if err != nil {
		return Status{}, err
	}
	status := Status{Info: st.Info, Condition: st.condition(held)}
	status.Name = filepath.Base(dir)
	for _, p := range st.Processes {
		status.Processes = append(status.Processes, ProcessStatus{Name: p.Name, PID: p.PID, Alive: p.Alive(), Log: p.Log})
	}
	return status, nil
}

func (st state) condition(owned bool) Condition {
	alive, dead := st.alive()
	switch {
	case owned:
		return Starting
	case len(alive) == 0 || !st.Ready:
		return Dead
	case len(dead) > 0:
		return Broken
	default:
		return Running
	}
}
