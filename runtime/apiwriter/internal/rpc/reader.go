package rpc

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

const (
	readBuffer = 64 << 10
	// maxAnswer is the largest answer accepted, in bytes, and firstAnswer how much is allocated on the word of its length
	// alone; more comes with the bytes themselves.
	maxAnswer   = 1 << 30
	firstAnswer = 1 << 20
)

// errLeft is the end of a connection that the server has asked to leave and on which nothing is under way any more.
var errLeft = errors.New("the server has gone away")

// reader takes in what the server sends. It runs on one goroutine, under the connection's lock where it has a conn.
type reader struct {
	conn    *conn
	order   grpcwire.Order
	decoder *grpcwire.Decoder
	ended   []*call // calls to wake once the lock is free

	received int // bytes of DATA not yet given back to the connection's window
}

func newReader(c *conn) *reader {
	return &reader{conn: c, decoder: grpcwire.NewDecoder(grpcwire.DefaultTable)}
}

// readLoop reads until the connection ends, then ends all calls. It tells lost as soon as the connection is of no use for
// new ones.
func (c *conn) readLoop(lost func(*conn)) {
	r := newReader(c)
	buf, have := make([]byte, readBuffer), 0
	var err error
	for err == nil {
		var n int
		n, err = c.nc.Read(buf[have:])
		have += n
		used, ferr := r.take(buf[:have], lost)
		if ferr != nil {
			err = ferr
		}
		have = copy(buf, buf[used:have])
	}
	c.fail(unavailable("reading from the server: %v", err))
	close(c.gone)
	lost(c)
	r.endAll()
}

// take acts on the whole frames in b and returns how many bytes they were.
func (r *reader) take(b []byte, lost func(*conn)) (used int, err error) {
	c := r.conn
	c.mu.Lock()
	left := c.leaving
	for err == nil && len(b)-used >= grpcwire.FrameHeaderSize {
		f := grpcwire.ParseFrame(b[used:])
		if err = r.order.Check(f); err != nil || len(b)-used < grpcwire.FrameHeaderSize+f.Size {
			break
		}
		used += grpcwire.FrameHeaderSize
		err = r.frame(f, b[used:used+f.Size])
		used += f.Size
	}
	c.send()
	left = c.leaving && !left
	if err == nil && c.leaving && len(c.open) == 0 {
		err = errLeft
	}
	c.mu.Unlock()
	r.tell()
	if left {
		lost(c)
	}
	return used, err
}

// end ends a call that is in the connection.
func (r *reader) end(x *call, err error) {
	r.conn.remove(x)
	x.err = err
	r.ended = append(r.ended, x)
}

// endAll ends the calls of a connection that has ended. Nothing of a call may be looked at once its caller knows.
func (r *reader) endAll() {
	c := r.conn
	c.mu.Lock()
	for _, x := range c.waiting {
		if x.id == 0 {
			x.over, x.err = true, errNotTaken
			r.ended = append(r.ended, x)
		}
	}
	for _, x := range c.open {
		x.over, x.err = true, c.broken
		r.ended = append(r.ended, x)
	}
	c.open, c.waiting = nil, nil
	c.mu.Unlock()
	r.tell()
}

// tell wakes the callers of calls that have ended.
func (r *reader) tell() {
	for _, x := range r.ended {
		x.done <- struct{}{}
	}
	clear(r.ended)
	r.ended = r.ended[:0]
}

func (r *reader) frame(f grpcwire.Frame, b []byte) error {
	switch f.Kind {
	case grpcwire.FrameData:
		return r.data(f, b)
	case grpcwire.FrameHeaders, grpcwire.FrameContinuation:
		return r.headers(f, b)
	}
	return r.control(f, b)
}

// data takes in a part of an answer, and gives the windows back in quarters.
func (r *reader) data(f grpcwire.Frame, b []byte) error {
	c := r.conn
	if r.received += len(b); r.received >= window/4 {
		c.out, r.received = grpcwire.AppendWindow(c.out, 0, r.received), 0
	}
	x := c.open[f.Stream]
	if x == nil {
		return nil // its caller has left
	}
	part, err := grpcwire.Unpad(f, b)
	if err != nil {
		return err
	}
	if err := x.receive(part); err != nil {
		c.drop(x)
		r.end(x, err)
		return nil
	}
	if f.Flags&grpcwire.FlagEndStream != 0 {
		r.end(x, grpcwire.ErrNoStatus)
		return nil
	}
	if x.consumed += len(b); x.consumed >= window/4 {
		c.out, x.consumed = grpcwire.AppendWindow(c.out, x.id, x.consumed), 0
	}
	return nil
}

// receive takes in a part of the answer.
func (x *call) receive(b []byte) error {
	if x.nheader < grpcwire.MessageHeader {
		n := copy(x.header[x.nheader:], b)
		x.nheader += n
		if b = b[n:]; x.nheader < grpcwire.MessageHeader {
			return nil
		}
		size, err := grpcwire.MessageSize(&x.header, maxAnswer)
		if err != nil {
			return err
		}
		x.left = size
		if need := len(x.answer) + min(x.left, firstAnswer); need > cap(x.answer) {
			x.answer = append(make([]byte, 0, need), x.answer...)
		}
	}
	if len(b) > x.left {
		return status.Error(codes.Internal, "more than one answer to a call")
	}
	x.left -= len(b)
	x.answer = append(x.answer, b...)
	return nil
}

// headers takes in a part of a header block and, at its end, acts on it.
func (r *reader) headers(f grpcwire.Frame, b []byte) error {
	block, complete, err := r.order.Headers(f, b)
	if err != nil || !complete {
		return err
	}
	said, err := r.decoder.Decode(block.Fields) // even for a call that is over: the next block may refer to it
	if err != nil {
		return err
	}
	x := r.conn.open[f.Stream]
	if x == nil {
		return nil
	}
	if !block.EndStream {
		if err := said.Failed(); err != nil {
			r.conn.drop(x)
			r.end(x, err)
		}
		return nil
	}
	r.conn.answers = true
	err = said.Status()
	if err == nil && (x.nheader < grpcwire.MessageHeader || x.left > 0) {
		err = status.Error(codes.Internal, "the server ended the call well, but without an answer")
	}
	if x.sent < grpcwire.MessageHeader+len(x.request) {
		r.conn.drop(x) // the server has answered before it heard all of it
	}
	r.end(x, err)
	return nil
}
