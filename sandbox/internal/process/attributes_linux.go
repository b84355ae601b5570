package process

import (
	"os/exec"
	"syscall"
)

// attach makes cmd die with the thread that starts it. A process group of its own keeps a Ctrl-C at the terminal from reaching
// it: plscript decides what ends, and in which order.
func attach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
