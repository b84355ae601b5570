// Package filelock is an advisory lock on a file, held between processes.
//
// The kernel drops the lock when its holder dies, however it dies. That makes a held lock proof of a living owner, which
// a process id in a file is not: ids are reused, and two containers that share a directory number theirs separately.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrHeld says that another holder has the lock.
var ErrHeld = errors.New("lock is held")

// retryEvery is how often Acquire asks again: flock(2) can wait by itself, but not give up when a context ends.
const retryEvery = 20 * time.Millisecond

// Lock is a held lock. Release it once.
type Lock struct{ file *os.File }

// Try takes the exclusive lock on path, creating the file (0600) when there is none. It returns an error matching ErrHeld when
// someone else, in this process or another, holds it.
func Try(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", path, ErrHeld)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return &Lock{file: file}, nil
}

// Acquire is Try that waits until the lock is free or ctx ends. waiting, which may be nil, is called once when it has to wait.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	lock, err := Try(path)
	if err == nil || !errors.Is(err, ErrHeld) {
		return lock, err
	}
	if waiting != nil {
		waiting()
	}
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", path, context.Cause(ctx))
		case <-tick.C:
		}
		lock, err := Try(path)
		if err == nil || !errors.Is(err, ErrHeld) {
			return lock, err
		}
	}
}

// Release gives the lock up. The file stays: removing it would let two holders lock two files of the same name.
func (l *Lock) Release() {
	// Closing is not enough: a child that is being forked at this moment holds a copy of the descriptor until it executes its program.
	syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	l.file.Close()
}
