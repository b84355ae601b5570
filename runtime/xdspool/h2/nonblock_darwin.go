package h2

import "syscall"

// readNow is read(2). At the end of the connection it returns 0.
func readNow(fd uintptr, b []byte) (int, error) { return now(syscall.Read, fd, b) }

// writeNow is write(2).
func writeNow(fd uintptr, b []byte) (int, error) { return now(syscall.Write, fd, b) }

func now(call func(int, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := call(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
