package process

import (
	"os/exec"
	"runtime"
)

// Thread starts processes that the kernel kills when this process ends, for whatever reason (Linux; elsewhere they are merely
// children).
//
// The kernel ties that promise (prctl(2), PR_SET_PDEATHSIG) to the *thread* that forked the child, not to its process. Go moves
// goroutines between threads and may end one, which would kill the child for no reason. So one goroutine owns one thread
// for as long as the children are to live, and does all the forking.
type Thread struct{ jobs chan func() }

// NewThread starts the thread. Close ends it.
func NewThread() *Thread {
	t := &Thread{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
		for job := range t.jobs {
			job()
		}
	}()
	return t
}

// Close ends the thread. End its processes first: whether they die with it depends on which thread Go gave it.
func (t *Thread) Close() { close(t.jobs) }

// Launch starts spec as a process that dies with this one.
func (t *Thread) Launch(spec Spec) (*Process, error) {
	return launch(spec, attach, t.start)
}

// Start starts cmd, in a process group of its own, as a process that dies with this one. The caller waits for it.
func (t *Thread) Start(cmd *exec.Cmd) error {
	attach(cmd)
	return t.start(cmd)
}

func (t *Thread) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	t.jobs <- func() { result <- cmd.Start() }
	return <-result
}
