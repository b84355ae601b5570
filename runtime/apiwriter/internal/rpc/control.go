package rpc

import "github.com/plscript/plscript/runtime/internal/grpcwire"

// control acts on a frame that is about the connection, its windows, or the end of a stream.
func (r *reader) control(f grpcwire.Frame, b []byte) error {
	c := r.conn
	switch f.Kind {
	case grpcwire.FrameSettings:
		if f.Flags&grpcwire.FlagAck == 0 {
			return c.settings(b)
		}
	case grpcwire.FramePing:
		if f.Flags&grpcwire.FlagAck == 0 {
			c.out = grpcwire.AppendPing(c.out, [8]byte(b), true)
		}
	case grpcwire.FrameWindow:
		return c.widen(f.Stream, grpcwire.Increment(b))
	case grpcwire.FrameReset:
		if x := c.open[f.Stream]; x != nil {
			r.end(x, grpcwire.ResetStatus(b))
		}
	case grpcwire.FrameGoAway:
		r.goAway(b)
	}
	return nil // PRIORITY, and what we do not know, is to be ignored
}

// settings takes over the server's settings and acknowledges them.
func (c *conn) settings(b []byte) error {
	wider, err := c.peer.Apply(b)
	if err != nil {
		return err
	}
	c.known = true
	if c.peer.Table < grpcwire.DefaultTable {
		c.table.forgo()
	}
	for _, x := range c.open {
		if err := grpcwire.Widen(&x.window, wider); err != nil {
			return err
		}
	}
	c.out = grpcwire.AppendSettingsAck(c.out)
	return nil
}

// widen adds to a window of what may be sent.
func (c *conn) widen(stream uint32, by int64) error {
	if stream == 0 {
		return grpcwire.Widen(&c.window, by)
	}
	if x := c.open[stream]; x != nil {
		return grpcwire.Widen(&x.window, by)
	}
	return nil
}

// goAway ends the calls that the server has not taken up; those that it has may go on.
func (r *reader) goAway(b []byte) {
	c := r.conn
	last, _, _ := grpcwire.GoAway(b)
	c.leaving = true
	for _, x := range c.open {
		if x.id > last {
			r.end(x, errNotTaken)
		}
	}
	for i := len(c.waiting) - 1; i >= 0; i-- {
		if x := c.waiting[i]; x.id == 0 {
			r.end(x, errNotTaken)
		}
	}
}
