package h2

import "net"

// source is where a reader takes bytes from.
type source interface {
	// next waits for what comes and returns it; it is good until the next call of a method. more says that something has
	// begun to come. What it returns with an error is good too.
	next(more bool) ([]byte, error)
	// done gives up what next has returned.
	done()
}

// busyBuffer is the size of the buffer that a connection borrows when much arrives.
const busyBuffer = 64 << 10

// wrapped reads from a connection that has to be waited for with a buffer, as TLS: a small one until something has come.
type wrapped struct {
	in   net.Conn
	idle [256]byte
	buf  *[]byte
	full bool // the last read filled its buffer: there is more
}

// next implements [source].
func (s *wrapped) next(more bool) ([]byte, error) {
	if !s.full && !more {
		s.done()
	} else if s.buf == nil {
		s.buf = buffers.get(busyBuffer)
	}
	b := s.idle[:]
	if s.buf != nil {
		b = (*s.buf)[:cap(*s.buf)]
	}
	n, err := s.in.Read(b)
	s.full = n == len(b)
	return b[:n], err
}

// done implements [source].
func (s *wrapped) done() {
	if s.buf != nil {
		buffers.put(s.buf)
		s.buf = nil
	}
}
