package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// checkListeners reads from /proc which TCP sockets the sandbox's processes listen on.
func checkListeners(t *testing.T, s *Sandbox) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	listening := map[string]string{} // inode of the socket to its local address
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(content), "\n") {
			const local, status, inode, listen = 1, 3, 9, "0A"
			if fields := strings.Fields(line); len(fields) > inode && fields[status] == listen {
				listening[fields[inode]] = fields[local]
			}
		}
	}
	const loopback4, loopback6 = "0100007F:", "00000000000000000000000001000000:"
	pids := s.PIDs()
	processes := map[string]int{nameEtcd: pids.Etcd, nameAPIServer: pids.APIServer}
	for i, pid := range s.IstiodPIDs() {
		processes[istiodName(i)] = pid
	}
	if s.Controllers {
		processes[nameController] = pids.Controllers
	}
	for name, pid := range processes {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, file := range files {
			target, err := os.Readlink(file)
			if err != nil {
				continue // closed meanwhile
			}
			address, ok := listening[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")]
			if !ok {
				continue
			}
			found++
			if !strings.HasPrefix(address, loopback4) && !strings.HasPrefix(address, loopback6) {
				t.Errorf("%s listens on %s, which is not the loopback interface", name, address)
			}
		}
		if want := name != nameEtcd && name != nameController; (found > 0) != want {
			t.Errorf("%s has %d listening TCP sockets; any expected: %v", name, found, want)
		}
	}
}
