package h2

import (
	"syscall"
	"unsafe"
)

// The system calls below are of sockets that do not block, and so they are made without telling Go's scheduler. To tell it
// costs more than the call: the first call after a rest wakes the runtime's monitor (runtime/proc.go entersyscall), which then
// looks after calls that might block every 20 us for a while.

// readNow is read(2). At the end of the connection it returns 0.
func readNow(fd uintptr, b []byte) (int, error) {
	return now(syscall.SYS_READ, fd, b)
}

// writeNow is write(2).
func writeNow(fd uintptr, b []byte) (int, error) {
	return now(syscall.SYS_WRITE, fd, b)
}

func now(call, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
