package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	decoder *decoder
	ended   []*call // calls to wake once the lock is free

	received    int    // bytes of DATA not yet given back to the connection's window
	block       []byte // header block so far
	blockStream uint32 // 0 unless CONTINUATION has to come next
	blockEnds   bool   // it ends its stream
}

// readLoop reads until the connection ends, then ends all calls. It tells lost as soon as the connection is of no use for
// new ones.
func (c *conn) readLoop(lost func(*conn)) {
	r := &reader{conn: c, decoder: newDecoder()}
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
	for err == nil && len(b)-used >= frameHeaderSize {
		f := parseHeader(b[used:])
		if err = r.check(f); err != nil || len(b)-used < frameHeaderSize+f.size {
			break
		}
		used += frameHeaderSize
		err = r.frame(f, b[used:used+f.size])
		used += f.size
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

// check refuses frames that must not come now.
func (r *reader) check(f frameHeader) error {
	switch {
	case f.size > defaultMaxFrame: // we announced no more
		return fmt.Errorf("a frame of %d bytes, more than %d", f.size, defaultMaxFrame)
	case r.blockStream != 0 && (f.kind != frameContinuation || f.stream != r.blockStream):
		return errors.New("a frame in the middle of a header block")
	case r.blockStream == 0 && f.kind == frameContinuation:
		return errors.New("CONTINUATION without a header block")
	case f.kind == framePush:
		return errors.New("PUSH_PROMISE, which was switched off")
	case f.stream == 0 && (f.kind == frameData || f.kind == frameHeaders):
		return errors.New("a frame of a stream without its number")
	}
	return nil
}

func (r *reader) frame(f frameHeader, b []byte) error {
	switch f.kind {
	case frameData:
		return r.data(f, b)
	case frameHeaders, frameContinuation:
		return r.headers(f, b)
	}
	return r.control(f, b)
}

// data takes in a part of an answer, and gives the windows back in quarters.
func (r *reader) data(f frameHeader, b []byte) error {
	c := r.conn
	if r.received += len(b); r.received >= window/4 {
		c.out, r.received = appendWindow(c.out, 0, r.received), 0
	}
	x := c.open[f.stream]
	if x == nil {
		return nil // its caller has left
	}
	part, err := unpad(f, b)
	if err != nil {
		return err
	}
	if err := x.receive(part); err != nil {
		c.drop(x)
		r.end(x, err)
		return nil
	}
	if f.flags&flagEndStream != 0 {
		r.end(x, status.Error(codes.Internal, "the server ended the call without a status"))
		return nil
	}
	if x.consumed += len(b); x.consumed >= window/4 {
		c.out, x.consumed = appendWindow(c.out, x.id, x.consumed), 0
	}
	return nil
}

// receive takes in a part of the answer.
func (x *call) receive(b []byte) error {
	if x.nheader < messageHeader {
		n := copy(x.header[x.nheader:], b)
		x.nheader += n
		if b = b[n:]; x.nheader < messageHeader {
			return nil
		}
		size := binary.BigEndian.Uint32(x.header[1:])
		switch {
		case x.header[0] != 0:
			return status.Error(codes.Internal, "a compressed answer, which was not asked for")
		case size > maxAnswer:
			return status.Errorf(codes.ResourceExhausted, "an answer of %d bytes, more than %d", size, maxAnswer)
		}
		x.left = int(size)
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

// headers collects a header block and, at its end, acts on it.
func (r *reader) headers(f frameHeader, b []byte) error {
	if f.kind == frameHeaders {
		var err error
		if b, err = unpad(f, b); err != nil {
			return err
		}
		r.block, r.blockStream, r.blockEnds = r.block[:0], f.stream, f.flags&flagEndStream != 0
	}
	if len(r.block)+len(b) > maxHeaders {
		return fmt.Errorf("a header block of more than %d bytes", maxHeaders)
	}
	r.block = append(r.block, b...)
	if f.flags&flagEndHeaders == 0 {
		return nil
	}
	r.blockStream = 0
	said, err := r.decoder.decode(r.block) // even for a call that is over: the next block may refer to it
	if err != nil {
		return err
	}
	x := r.conn.open[f.stream]
	if x == nil {
		return nil
	}
	if !r.blockEnds {
		if err := said.failed(); err != nil {
			r.conn.drop(x)
			r.end(x, err)
		}
		return nil
	}
	r.conn.answers = true
	err = said.status()
	if err == nil && (x.nheader < messageHeader || x.left > 0) {
		err = status.Error(codes.Internal, "the server ended the call well, but without an answer")
	}
	if x.sent < messageHeader+len(x.request) {
		r.conn.drop(x) // the server has answered before it heard all of it
	}
	r.end(x, err)
	return nil
}

// unpad takes the padding, and the priority of HEADERS, off a payload.
func unpad(f frameHeader, b []byte) ([]byte, error) {
	pad := 0
	if f.flags&flagPadded != 0 {
		if len(b) == 0 {
			return nil, errors.New("a padded frame without a length")
		}
		pad, b = int(b[0]), b[1:]
	}
	if f.kind == frameHeaders && f.flags&flagPriority != 0 {
		if len(b) < 5 {
			return nil, errors.New("a HEADERS frame without its priority")
		}
		b = b[5:]
	}
	if pad > len(b) {
		return nil, errors.New("more padding than frame")
	}
	return b[:len(b)-pad], nil
}
