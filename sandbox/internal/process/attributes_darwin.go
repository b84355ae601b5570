package process

import (
	"os/exec"
	"syscall"
)

// attach gives cmd a process group of its own, which keeps a Ctrl-C at the terminal from reaching it. macOS cannot promise more:
// what a killed plscript leaves running is swept when the next one starts.
func attach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
