package h2

import (
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// Handler is told what happens on a stream. Its methods are called from the connection's Serve and may send.
type Handler interface {
	// Message is called with each message. The bytes are the stream's again when it returns.
	Message(b []byte)
	// Closed is called once, at the end: with io.EOF if the server's status is OK, otherwise with a gRPC status error or
	// the end of the connection. It is not called for a stream that was closed by [Stream.Close].
	Closed(err error)
}

// Stream is one bidirectional gRPC call. Its methods may be called from anywhere.
type Stream struct {
	conn    *Conn
	id      uint32
	handler Handler

	// Of the reader.
	message  assembly
	consumed int // bytes received and not yet given back to the peer's window

	// Guarded by conn.mu.
	sendWindow int64
	pending    []byte // what the windows do not allow to be sent yet
	over       bool
}

// ErrStreamClosed is returned for sending on a stream that has ended.
var ErrStreamClosed = errors.New("h2: the stream has ended")

// Open starts a call of the method path, such as "/package.Service/Method". The server's answer is not waited for.
func (c *Conn) Open(authority, path string, extra []Header, h Handler) (*Stream, error) {
	block := c.request(authority, path, extra)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != nil:
		return nil, c.broken
	case c.goingAway:
		return nil, status.Error(codes.Unavailable, "the server is going away")
	case uint32(len(c.streams)) >= c.peer.MaxStreams:
		return nil, status.Errorf(codes.Unavailable, "the server takes %d streams on a connection", c.peer.MaxStreams)
	}
	s := &Stream{conn: c, id: c.nextID, handler: h, sendWindow: c.peer.Window}
	c.nextID += 2
	c.streams = append(c.streams, s)
	err := c.writeLocked(func(b []byte) []byte { return appendBlock(b, s.id, block, c.peer.MaxFrame) })
	if err != nil {
		c.forgetLocked(s)
		return nil, err
	}
	return s, nil
}

// Send sends a message, or as much of it as the server's window allows and the rest when it does. It keeps no reference
// to b.
func (s *Stream) Send(b []byte) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.over {
		return ErrStreamClosed
	}
	if c.broken != nil {
		return c.broken
	}
	if n := len(b) + grpcwire.MessageHeader; int64(n) <= min(s.sendWindow, c.sendWindow, int64(c.peer.MaxFrame)) && len(s.pending) == 0 {
		s.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
		return c.writeLocked(func(out []byte) []byte {
			out = grpcwire.AppendFrame(out, n, grpcwire.FrameData, 0, s.id)
			return append(grpcwire.AppendMessageHeader(out, len(b)), b...)
		})
	}
	s.pending = append(grpcwire.AppendMessageHeader(s.pending, len(b)), b...)
	return c.writeLocked(s.appendPending)
}

// appendPending appends what the windows allow of what is waiting. It runs under conn.mu.
func (s *Stream) appendPending(out []byte) []byte {
	c := s.conn
	for len(s.pending) > 0 {
		n := min(int64(len(s.pending)), s.sendWindow, c.sendWindow, int64(c.peer.MaxFrame))
		if n <= 0 {
			return out
		}
		out = append(grpcwire.AppendFrame(out, int(n), grpcwire.FrameData, 0, s.id), s.pending[:n]...)
		s.sendWindow -= n
		c.sendWindow -= n
		if s.pending = s.pending[n:]; len(s.pending) == 0 {
			s.pending = nil
		}
	}
	return out
}

// Close ends the stream from this side. The handler is not called for it, but a call of it may be under way.
func (s *Stream) Close() {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.over = true
	if c.forgetLocked(s) && c.broken == nil {
		// A failure to say so is the end of the connection, and Serve's to tell.
		_ = c.writeLocked(func(b []byte) []byte { return grpcwire.AppendReset(b, s.id, grpcwire.ErrorCancel) })
	}
}

// end tells the handler that the stream has ended.
func (s *Stream) end(err error) {
	s.conn.mu.Lock()
	over := s.over
	s.over = true
	s.pending = nil
	s.conn.mu.Unlock()
	s.message.drop()
	if over {
		return
	}
	if err == nil {
		err = io.EOF
	}
	s.handler.Closed(err)
}

// closed reports whether nobody wants to hear of s any more.
func (s *Stream) closed() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.over
}

// receive takes in a part of a DATA frame and hands over the messages that it completes.
func (s *Stream) receive(b []byte) error {
	for len(b) > 0 {
		message, rest, err := s.message.add(b, s.conn.cfg.MaxMessage)
		if err != nil {
			return err
		}
		b = rest
		if message != nil {
			if !s.closed() {
				s.handler.Message(message)
			}
			s.message.drop()
		}
	}
	return nil
}
