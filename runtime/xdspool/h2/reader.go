package h2

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// reader cuts what arrives into frames. DATA goes on as it comes; any other frame is collected first.
type reader struct {
	header  [frameHeaderSize]byte
	nheader int
	frame   frameHeader
	left    int    // bytes of the frame's payload that are to come
	body    []byte // payload so far of a frame that has to be whole

	block       []byte // header block so far
	blockStream uint32 // 0 unless CONTINUATION has to come next
	blockEnds   bool   // it ends its stream
}

// loop reads until the connection ends.
func (r *reader) loop(c *Conn) error {
	defer c.in.done()
	for {
		b, err := c.in.next(r.left > 0 || r.nheader > 0)
		c.heard.Add(1)
		c.hold()
		ferr := r.feed(c, b)
		if werr := c.release(); ferr == nil {
			ferr = werr
		}
		if ferr != nil {
			return ferr
		}
		if err != nil {
			return err
		}
	}
}

// feed takes in b.
func (r *reader) feed(c *Conn, b []byte) error {
	for {
		if r.nheader < frameHeaderSize {
			n := copy(r.header[r.nheader:], b)
			r.nheader += n
			if b = b[n:]; r.nheader < frameHeaderSize {
				return nil
			}
			if err := r.begin(); err != nil {
				return err
			}
		}
		n := min(r.left, len(b))
		part := b[:n]
		b, r.left = b[n:], r.left-n
		if err := r.payload(c, part); err != nil {
			return err
		}
		if r.left > 0 {
			return nil
		}
		r.nheader = 0
	}
}

// begin checks a frame's header.
func (r *reader) begin() error {
	r.frame = parseHeader(r.header[:])
	r.left = r.frame.size
	r.body = nil
	f := r.frame
	switch {
	case f.size > defaultMaxFrame: // we announced no more
		return fmt.Errorf("a frame of %d bytes, more than %d", f.size, defaultMaxFrame)
	case r.blockStream != 0 && (f.kind != frameContinuation || f.stream != r.blockStream):
		return errors.New("a frame in the middle of a header block")
	case r.blockStream == 0 && f.kind == frameContinuation:
		return errors.New("CONTINUATION without a header block")
	case f.kind == framePush:
		return errors.New("PUSH_PROMISE, which was switched off")
	}
	return nil
}

// payload takes in a part of the frame's payload, and finishes the frame with the last part.
func (r *reader) payload(c *Conn, part []byte) error {
	if r.frame.kind == frameData && r.frame.flags&flagPadded == 0 {
		return r.data(c, part, r.left == 0)
	}
	if r.left > 0 || len(r.body) > 0 {
		r.body = append(r.body, part...)
		if r.left > 0 {
			return nil
		}
		part, r.body = r.body, nil
	}
	switch r.frame.kind {
	case frameData:
		unpadded, err := r.unpad(part)
		if err != nil {
			return err
		}
		c.acked += len(part) - len(unpadded)
		return r.data(c, unpadded, true)
	case frameHeaders, frameContinuation:
		return r.headers(c, part)
	}
	return c.control(r.frame, part)
}

// data hands a part of a DATA frame to its stream, and gives the windows back in quarters.
func (r *reader) data(c *Conn, part []byte, last bool) error {
	s := c.stream(r.frame.stream)
	if s != nil {
		s.consumed += len(part)
		if err := s.receive(part); err != nil {
			if c.forget(s) {
				s.end(status.Convert(err).Err())
			}
			if err := c.write(func(b []byte) []byte { return appendReset(b, s.id, errorCancel) }); err != nil {
				return err
			}
		} else if last && r.frame.flags&flagEndStream != 0 && c.forget(s) {
			s.end(status.Error(codes.Internal, "the server ended the stream without a status"))
		}
	}
	c.acked += len(part)
	quarter := c.cfg.Window / 4
	if c.acked < quarter && (s == nil || s.consumed < quarter) {
		return nil
	}
	return c.write(func(b []byte) []byte {
		if c.acked >= quarter {
			b, c.acked = appendWindow(b, 0, c.acked), 0
		}
		if s != nil && s.consumed >= quarter {
			b, s.consumed = appendWindow(b, s.id, s.consumed), 0
		}
		return b
	})
}

// unpad takes the padding, and the priority of HEADERS, off a payload.
func (r *reader) unpad(b []byte) ([]byte, error) {
	pad := 0
	if r.frame.flags&flagPadded != 0 {
		if len(b) == 0 {
			return nil, errors.New("a padded frame without a length")
		}
		pad, b = int(b[0]), b[1:]
	}
	if r.frame.kind == frameHeaders && r.frame.flags&flagPriority != 0 {
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

// headers collects a header block and, at its end, tells its stream.
func (r *reader) headers(c *Conn, b []byte) error {
	f := r.frame
	if f.kind == frameHeaders {
		var err error
		if b, err = r.unpad(b); err != nil {
			return err
		}
		r.block, r.blockStream, r.blockEnds = nil, f.stream, f.flags&flagEndStream != 0
	}
	if len(r.block)+len(b) > maxHeaders {
		return fmt.Errorf("a header block of more than %d bytes", maxHeaders)
	}
	r.block = append(r.block, b...)
	if f.flags&flagEndHeaders == 0 {
		return nil
	}
	a, err := decode(r.block)
	r.block, r.blockStream = nil, 0
	if err != nil {
		return err
	}
	s := c.stream(f.stream)
	if s == nil {
		return nil
	}
	if r.blockEnds {
		err = a.status()
	} else if err = a.failed(); err == nil {
		return nil
	}
	if c.forget(s) {
		s.end(err)
	}
	if !r.blockEnds {
		return c.write(func(b []byte) []byte { return appendReset(b, s.id, errorCancel) })
	}
	return nil
}

// control acts on a frame that is about the connection or its windows.
func (c *Conn) control(f frameHeader, b []byte) error {
	switch f.kind {
	case frameSettings:
		return c.settings(f, b)
	case framePing:
		if len(b) != 8 {
			return errors.New("a PING that is not 8 bytes")
		}
		if f.flags&flagAck != 0 {
			return nil
		}
		return c.write(func(out []byte) []byte { return appendPing(out, [8]byte(b), true) })
	case frameWindow:
		if len(b) != 4 {
			return errors.New("a WINDOW_UPDATE that is not 4 bytes")
		}
		return c.widen(f.stream, int64(binary.BigEndian.Uint32(b)&maxWindow))
	case frameReset:
		if len(b) != 4 {
			return errors.New("a RST_STREAM that is not 4 bytes")
		}
		if s := c.stream(f.stream); s != nil && c.forget(s) {
			s.end(resetStatus(binary.BigEndian.Uint32(b)))
		}
	case frameGoAway:
		return c.goAway(b)
	}
	return nil // PRIORITY, and what we do not know, is to be ignored
}

// settings takes over the peer's settings and acknowledges them.
func (c *Conn) settings(f frameHeader, b []byte) error {
	if f.flags&flagAck != 0 {
		return nil
	}
	if len(b)%6 != 0 {
		return errors.New("SETTINGS of a broken length")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(b) > 0; b = b[6:] {
		v := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case settingMaxStreams:
			c.peer.maxStreams = v
		case settingInitialWindow:
			if v > maxWindow {
				return errors.New("SETTINGS with a window beyond 2^31-1")
			}
			for _, s := range c.streams {
				s.sendWindow += int64(v) - c.peer.initialWindow
			}
			c.peer.initialWindow = int64(v)
		case settingMaxFrame:
			if v < defaultMaxFrame || v > 1<<24-1 {
				return errors.New("SETTINGS with an invalid frame size")
			}
			c.peer.maxFrame = int(v)
		}
	}
	return c.writeLocked(func(out []byte) []byte {
		out = appendFrame(out, 0, frameSettings, flagAck, 0)
		return c.appendAllPending(out)
	})
}

// widen adds to a send window, and sends what has waited for it.
func (c *Conn) widen(stream uint32, by int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := &c.sendWindow
	if stream != 0 {
		window = nil
		for _, s := range c.streams {
			if s.id == stream {
				window = &s.sendWindow
			}
		}
		if window == nil {
			return nil
		}
	}
	if *window += by; *window > maxWindow {
		return errors.New("a send window beyond 2^31-1")
	}
	return c.writeLocked(c.appendAllPending)
}

func (c *Conn) appendAllPending(out []byte) []byte {
	for _, s := range c.streams {
		out = s.appendPending(out)
	}
	return out
}

// goAway ends the streams that the server has not taken up; the others may go on.
func (c *Conn) goAway(b []byte) error {
	if len(b) < 8 {
		return errors.New("a GOAWAY that is too short")
	}
	last, code := binary.BigEndian.Uint32(b)&maxWindow, binary.BigEndian.Uint32(b[4:])
	c.mu.Lock()
	c.goingAway = true
	var dropped []*Stream
	for _, s := range c.streams {
		if s.id > last {
			dropped = append(dropped, s)
		}
	}
	for _, s := range dropped {
		c.forgetLocked(s)
	}
	c.mu.Unlock()
	for _, s := range dropped {
		s.end(status.Errorf(codes.Unavailable, "the server is going away (error code %d) and has not taken the stream", code))
	}
	if code != errorNone && len(b) > 8 {
		return fmt.Errorf("the server is going away: error code %d, %q", code, b[8:])
	}
	return nil
}
