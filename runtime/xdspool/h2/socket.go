package h2

import (
	"io"
	"net"
	"syscall"
)

// socket is a TCP connection. While nothing arrives it has no buffer at all.
type socket struct {
	net.Conn
	raw syscall.RawConn

	// Of the reader.
	tryRead func(fd uintptr) bool // read, made once
	into    []byte                // of the caller of Read; nil means buf
	buf     *[]byte
	n       int
	err     error

	// Of the writer.
	tryWrite func(fd uintptr) bool // write, made once
	out      []byte
	outErr   error
}

// newSocket returns a TCP connection as a socket, and any other as it is.
func newSocket(nc net.Conn) net.Conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nc
	}
	s := &socket{Conn: nc, raw: raw}
	s.tryRead, s.tryWrite = s.read, s.write
	return s
}

// next implements [source].
func (s *socket) next(bool) ([]byte, error) {
	n, err := s.await(nil)
	if err != nil {
		return nil, err
	}
	return (*s.buf)[:n], nil
}

// Read implements [net.Conn], for TLS. It is not for two at once, nor beside next.
func (s *socket) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return s.await(b)
}

// await waits for something to read, and reads it into b; nil means buf.
func (s *socket) await(b []byte) (int, error) {
	s.into = b
	err := s.raw.Read(s.tryRead)
	s.into = nil
	if err == nil {
		err = s.err
	}
	if err == nil && s.n == 0 {
		err = io.EOF
	}
	if err != nil {
		return 0, err
	}
	return s.n, nil
}

// read reads what is there, and returns false if that is nothing.
func (s *socket) read(fd uintptr) bool {
	b := s.into
	if b == nil {
		if s.buf == nil {
			s.buf = buffers.get(busyBuffer)
		}
		b = (*s.buf)[:cap(*s.buf)]
	}
	s.n, s.err = readNow(fd, b)
	if s.err == syscall.EAGAIN {
		s.done()
		return false
	}
	return true
}

// done implements [source].
func (s *socket) done() {
	if s.buf != nil {
		buffers.put(s.buf)
		s.buf = nil
	}
}

// Write implements [net.Conn]. It is not for two at once.
func (s *socket) Write(b []byte) (int, error) {
	s.out, s.outErr = b, nil
	err := s.raw.Write(s.tryWrite)
	if err == nil {
		err = s.outErr
	}
	n := len(b) - len(s.out)
	s.out = nil
	return n, err
}

// write writes what is left, and returns false if that has to wait.
func (s *socket) write(fd uintptr) bool {
	for len(s.out) > 0 {
		n, err := writeNow(fd, s.out)
		s.out = s.out[n:]
		switch {
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			s.outErr = err
			return true
		}
	}
	return true
}
