package h2

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// reader cuts what arrives into frames. DATA goes on as it comes; any other frame is collected first.
type reader struct {
	header  [grpcwire.FrameHeaderSize]byte
	nheader int
	frame   grpcwire.Frame
	left    int    // bytes of the frame's payload that are to come
	body    []byte // payload so far of a frame that has to be whole
	order   grpcwire.Order
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
		if r.nheader < grpcwire.FrameHeaderSize {
			n := copy(r.header[r.nheader:], b)
			r.nheader += n
			if b = b[n:]; r.nheader < grpcwire.FrameHeaderSize {
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
	r.frame = grpcwire.ParseFrame(r.header[:])
	r.left = r.frame.Size
	r.body = nil
	return r.order.Check(r.frame)
}

// payload takes in a part of the frame's payload, and finishes the frame with the last part.
func (r *reader) payload(c *Conn, part []byte) error {
	if r.frame.Kind == grpcwire.FrameData && r.frame.Flags&grpcwire.FlagPadded == 0 {
		return r.data(c, part, 0, r.left == 0)
	}
	if r.left > 0 || len(r.body) > 0 {
		r.body = append(r.body, part...)
		if r.left > 0 {
			return nil
		}
		part, r.body = r.body, nil
	}
	switch r.frame.Kind {
	case grpcwire.FrameData:
		unpadded, err := grpcwire.Unpad(r.frame, part)
		if err != nil {
			return err
		}
		return r.data(c, unpadded, len(part)-len(unpadded), true)
	case grpcwire.FrameHeaders, grpcwire.FrameContinuation:
		return r.headers(c, part)
	}
	return c.control(r.frame, part)
}

// data hands a part of a DATA frame to its stream, and gives the windows back in quarters. Padding counts in both.
func (r *reader) data(c *Conn, part []byte, padding int, last bool) error {
	s := c.stream(r.frame.Stream)
	if s != nil {
		s.consumed += len(part) + padding
		if err := s.receive(part); err != nil {
			if c.forget(s) {
				s.end(err)
			}
			if err := c.write(func(b []byte) []byte { return grpcwire.AppendReset(b, s.id, grpcwire.ErrorCancel) }); err != nil {
				return err
			}
		} else if last && r.frame.Flags&grpcwire.FlagEndStream != 0 && c.forget(s) {
			s.end(grpcwire.ErrNoStatus)
		}
	}
	c.acked += len(part) + padding
	quarter := c.cfg.Window / 4
	if c.acked < quarter && (s == nil || s.consumed < quarter) {
		return nil
	}
	return c.write(func(b []byte) []byte {
		if c.acked >= quarter {
			b, c.acked = grpcwire.AppendWindow(b, 0, c.acked), 0
		}
		if s != nil && s.consumed >= quarter {
			b, s.consumed = grpcwire.AppendWindow(b, s.id, s.consumed), 0
		}
		return b
	})
}

// headers takes in a part of a header block and, at its end, tells its stream.
func (r *reader) headers(c *Conn, b []byte) error {
	block, complete, err := r.order.Headers(r.frame, b)
	if err != nil || !complete {
		return err
	}
	said, err := grpcwire.NewDecoder(0).Decode(block.Fields)
	if err != nil {
		return err
	}
	s := c.stream(r.frame.Stream)
	if s == nil {
		return nil
	}
	if block.EndStream {
		err = said.Status()
	} else if err = said.Failed(); err == nil {
		return nil
	}
	if c.forget(s) {
		s.end(err)
	}
	if !block.EndStream {
		return c.write(func(b []byte) []byte { return grpcwire.AppendReset(b, s.id, grpcwire.ErrorCancel) })
	}
	return nil
}

// control acts on a frame that is about the connection or its windows.
func (c *Conn) control(f grpcwire.Frame, b []byte) error {
	switch f.Kind {
	case grpcwire.FrameSettings:
		if f.Flags&grpcwire.FlagAck == 0 {
			return c.settings(b)
		}
	case grpcwire.FramePing:
		if f.Flags&grpcwire.FlagAck == 0 {
			return c.write(func(out []byte) []byte { return grpcwire.AppendPing(out, [8]byte(b), true) })
		}
	case grpcwire.FrameWindow:
		return c.widen(f.Stream, grpcwire.Increment(b))
	case grpcwire.FrameReset:
		if s := c.stream(f.Stream); s != nil && c.forget(s) {
			s.end(grpcwire.ResetStatus(b))
		}
	case grpcwire.FrameGoAway:
		return c.goAway(b)
	}
	return nil // PRIORITY, and what we do not know, is to be ignored
}

// settings takes over the peer's settings and acknowledges them.
func (c *Conn) settings(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	wider, err := c.peer.Apply(b)
	if err != nil {
		return err
	}
	for _, s := range c.streams {
		if err := grpcwire.Widen(&s.sendWindow, wider); err != nil {
			return err
		}
	}
	return c.writeLocked(func(out []byte) []byte { return c.appendAllPending(grpcwire.AppendSettingsAck(out)) })
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
	if err := grpcwire.Widen(window, by); err != nil {
		return err
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
	last, code, why := grpcwire.GoAway(b)
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
	if code != grpcwire.ErrorNone && len(why) > 0 {
		return fmt.Errorf("the server is going away: error code %d, %q", code, why)
	}
	return nil
}
