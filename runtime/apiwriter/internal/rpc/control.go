package rpc

import (
	"encoding/binary"
	"errors"
)

// control acts on a frame that is about the connection, its windows, or the end of a stream.
func (r *reader) control(f frameHeader, b []byte) error {
	c := r.conn
	switch f.kind {
	case frameSettings:
		if f.flags&flagAck != 0 {
			return nil
		}
		return c.settings(b)
	case framePing:
		if len(b) != 8 {
			return errors.New("a PING that is not 8 bytes")
		}
		if f.flags&flagAck == 0 {
			c.out = append(appendFrame(c.out, len(b), framePing, flagAck, 0), b...)
		}
	case frameWindow:
		if len(b) != 4 {
			return errors.New("a WINDOW_UPDATE that is not 4 bytes")
		}
		return c.widen(f.stream, int64(binary.BigEndian.Uint32(b)&largestWindow))
	case frameReset:
		if len(b) != 4 {
			return errors.New("a RST_STREAM that is not 4 bytes")
		}
		if x := c.open[f.stream]; x != nil {
			r.end(x, resetStatus(binary.BigEndian.Uint32(b)))
		}
	case frameGoAway:
		return r.goAway(b)
	}
	return nil // PRIORITY, and what we do not know, is to be ignored
}

// settings takes over the server's settings and acknowledges them.
func (c *conn) settings(b []byte) error {
	if len(b)%6 != 0 {
		return errors.New("SETTINGS of a broken length")
	}
	if !c.peer.known {
		c.peer.known, c.peer.maxStreams = true, lastStream
	}
	for ; len(b) > 0; b = b[6:] {
		v := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case settingHeaderTable:
			if v < defaultTable {
				c.table.forgo()
			}
		case settingMaxStreams:
			c.peer.maxStreams = v
		case settingInitialWindow:
			if v > largestWindow {
				return errors.New("SETTINGS with a window beyond 2^31-1")
			}
			for _, x := range c.open {
				x.window += int64(v) - c.peer.window
			}
			c.peer.window = int64(v)
		case settingMaxFrame:
			if v < defaultMaxFrame || v > largestFrame {
				return errors.New("SETTINGS with an invalid frame size")
			}
			c.peer.maxFrame = int(v)
		}
	}
	c.out = appendFrame(c.out, 0, frameSettings, flagAck, 0)
	return nil
}

// widen adds to a window of what may be sent.
func (c *conn) widen(stream uint32, by int64) error {
	into := &c.window
	if stream != 0 {
		x := c.open[stream]
		if x == nil {
			return nil
		}
		into = &x.window
	}
	if *into += by; *into > largestWindow {
		return errors.New("a window beyond 2^31-1")
	}
	return nil
}

// goAway ends the calls that the server has not taken up; those that it has may go on.
func (r *reader) goAway(b []byte) error {
	if len(b) < 8 {
		return errors.New("a GOAWAY that is too short")
	}
	c := r.conn
	last := binary.BigEndian.Uint32(b) & lastStream
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
	return nil
}
