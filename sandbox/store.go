package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/plscript/plscript/sandbox/internal/filelock"
	"github.com/plscript/plscript/sandbox/internal/process"
)

var (
	// ErrExists says that a sandbox of that name is there already.
	ErrExists = errors.New("sandbox exists")
	// ErrNotFound says that there is no sandbox of that name.
	ErrNotFound = errors.New("no such sandbox")
)

// store is the folder of all sandboxes. A named one is a folder of its name in it, a private one a hidden folder. Making,
// judging and removing those happens under one lock; making holds a second one, in the sandbox's own folder, for as long as the sandbox is being
// made or, if it is private, for as long as it lives.
type store struct{ dir string }

const (
	privatePrefix = ".private-"
	storeLock     = ".lock"
	ownerLock     = "owner.lock"
)

func (s store) lock(ctx context.Context) (*filelock.Lock, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	lock, err := filelock.Acquire(ctx, filepath.Join(s.dir, storeLock), nil)
	if err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	return lock, nil
}

// claim makes the folder of a new sandbox, private if name is empty, and locks it for its owner.
func (s store) claim(ctx context.Context, name string) (dir string, owner *filelock.Lock, err error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer lock.Release()
	if name == "" {
		dir, err = os.MkdirTemp(s.dir, privatePrefix)
	} else {
		dir = filepath.Join(s.dir, name)
		if err := s.vacate(ctx, dir); err != nil {
			return "", nil, fmt.Errorf("sandbox %s: %w", name, err)
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return "", nil, fmt.Errorf("sandbox folder: %w", err)
	}
	owner, err = filelock.Try(filepath.Join(dir, ownerLock))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, owner, nil
}

// vacate removes what a dead sandbox left in dir, or says why it may not.
func (s store) vacate(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	removed, err := s.sweepOne(ctx, dir)
	if err != nil || removed {
		return err
	}
	return fmt.Errorf("%w: it runs or is being started", ErrExists)
}

// sweep removes all sandboxes that have died, with whatever processes they left. It returns their folders' names.
func (s store) sweep(ctx context.Context, log *slog.Logger) ([]string, error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	dirs, err := s.dirs()
	if err != nil {
		return nil, err
	}
	var swept []string
	for _, dir := range dirs {
		removed, err := s.sweepOne(ctx, dir)
		if err != nil { // another's trouble must not keep a new sandbox from starting
			log.Warn("a dead sandbox could not be removed", "dir", dir, "error", err)
		}
		if removed {
			log.Info("removed what a dead sandbox left", "dir", dir)
			swept = append(swept, filepath.Base(dir))
		}
	}
	return swept, nil
}

// dirs lists the folders of all sandboxes, dead or alive.
func (s store) dirs() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	var dirs []string
	for _, entry := range entries {
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), privatePrefix) || ValidateName(entry.Name()) == nil) {
			dirs = append(dirs, filepath.Join(s.dir, entry.Name()))
		}
	}
	return dirs, nil
}

// sweepOne removes the sandbox in dir if it is dead: nobody owns it, and it is private, or was never complete, or none of its processes
// lives. Hold the store's lock.
func (s store) sweepOne(ctx context.Context, dir string) (removed bool, err error) {
	owner, err := filelock.Try(filepath.Join(dir, ownerLock))
	if errors.Is(err, filelock.ErrHeld) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer owner.Release()
	st, err := loadState(dir)
	if err != nil {
		st = state{Info: Info{Dir: dir}} // unreadable, so never complete; its processes are found by their mark
	}
	if alive, _ := st.alive(); len(alive) > 0 && st.Ready && !isPrivate(dir) {
		return false, nil
	}
	return true, erase(ctx, st)
}

func isPrivate(dir string) bool { return strings.HasPrefix(filepath.Base(dir), privatePrefix) }

// erase ends a sandbox's processes, those of its state and those that carry its mark, and removes its folder.
func erase(ctx context.Context, st state) error {
	doomed := st.Processes
	for _, id := range process.FindByEnv(markVariable, st.Dir) {
		doomed = append(doomed, &process.Process{Name: "process of " + st.Dir, ID: id})
	}
	if err := killAll(ctx, doomed); err != nil {
		return err
	}
	if err := os.RemoveAll(st.Dir); err != nil {
		return fmt.Errorf("removing a sandbox: %w", err)
	}
	return nil
}

// eraseAll is erase for a folder whose state may be unreadable: then its processes are found by their mark alone.
func eraseAll(ctx context.Context, dir string) error {
	st, err := loadState(dir)
	if err != nil {
		st = state{Info: Info{Dir: dir}}
	}
	return erase(ctx, st)
}

// remove ends what is left of a sandbox, removes its folder, and then releases its owner's lock, which may be nil. It does so even when
// ctx has ended already.
func (s store) remove(ctx context.Context, dir string, owner *filelock.Lock) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	if owner != nil {
		defer owner.Release()
	}
	return eraseAll(ctx, dir)
}
