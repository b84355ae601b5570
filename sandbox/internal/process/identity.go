package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ID names one process for good. A process id alone does not: the kernel hands it out again once its process is gone. Mark is
// when the process began, in the operating system's own terms, so that a reused id does not match.
type ID struct {
	PID  int    `json:"pid"`
	Mark string `json:"mark"`
}

// Identify returns the ID of the running process pid.
func Identify(pid int) (ID, error) {
	mark, zombie, err := inspect(pid)
	if err != nil {
		return ID{}, fmt.Errorf("identifying process %d: %w", pid, err)
	}
	if zombie {
		return ID{}, fmt.Errorf("identifying process %d: %w", pid, os.ErrProcessDone)
	}
	return ID{PID: pid, Mark: mark}, nil
}

// Alive reports whether this very process still runs. A zombie does not: it has ended and waits for a parent that may never ask,
// as happens in containers without an init.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	mark, zombie, err := inspect(id.PID)
	return err == nil && !zombie && mark == id.Mark
}

// Kill sends SIGKILL to this very process, and to no other that took its number. A process that is gone already is no error.
func (id ID) Kill() error {
	if id.PID <= 0 {
		return nil
	}
	// The handle is opened before the identity is checked: on Linux it is a pidfd, which stays with the process that was checked.
	handle, err := os.FindProcess(id.PID)
	if err != nil {
		return fmt.Errorf("finding process %d: %w", id.PID, err)
	}
	defer handle.Release()
	if !id.Alive() {
		return nil
	}
	if err := handle.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing process %d: %w", id.PID, err)
	}
	return nil
}
