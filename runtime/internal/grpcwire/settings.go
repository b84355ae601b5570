package grpcwire

import (
	"encoding/binary"
	"errors"
)

// Settings (RFC 9113, 6.5.2), of six bytes each: a number and a value.
const (
	settingSize = 6

	settingHeaderTable   = 0x1
	settingPush          = 0x2
	settingMaxStreams    = 0x3
	settingInitialWindow = 0x4
	settingMaxFrame      = 0x5
)

func appendSetting(b []byte, id uint16, v int) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	return binary.BigEndian.AppendUint32(b, uint32(v))
}

// AppendSettingsAck appends the answer to SETTINGS.
func AppendSettingsAck(b []byte) []byte {
	return AppendFrame(b, 0, FrameSettings, FlagAck, 0)
}

// Peer is what a server's SETTINGS allow a client to send.
type Peer struct {
	Window     int64  // bytes on a new stream
	MaxFrame   int    // bytes of a frame's payload
	MaxStreams uint32 // open at a time
	Table      uint32 // bytes of header fields that are kept: the least that was ever said, for a client that never grows its table
}

// NewPeer returns what is allowed before SETTINGS have come.
func NewPeer() Peer {
	return Peer{Window: DefaultWindow, MaxFrame: DefaultMaxFrame, MaxStreams: LastStream, Table: DefaultTable}
}

// Apply takes over the payload of a SETTINGS frame that [Order.Check] has let pass and that is no ACK. Streams that are open
// get wider, or narrower, by as many bytes as it returns; see [Widen].
func (p *Peer) Apply(payload []byte) (wider int64, err error) {
	before := p.Window
	for ; len(payload) >= settingSize; payload = payload[settingSize:] {
		v := binary.BigEndian.Uint32(payload[2:])
		switch binary.BigEndian.Uint16(payload) {
		case settingHeaderTable:
			p.Table = min(p.Table, v)
		case settingMaxStreams:
			p.MaxStreams = v
		case settingInitialWindow:
			if v > MaxWindow {
				return 0, errors.New("SETTINGS with a window beyond 2^31-1")
			}
			p.Window = int64(v)
		case settingMaxFrame:
			if v < DefaultMaxFrame || v > largestMaxFrame {
				return 0, errors.New("SETTINGS with an invalid frame size")
			}
			p.MaxFrame = int(v)
		}
	}
	return p.Window - before, nil
}

// Increment is what a WINDOW_UPDATE frame that [Order.Check] has let pass adds to a window.
func Increment(payload []byte) int64 {
	return int64(binary.BigEndian.Uint32(payload) & MaxWindow)
}

// Widen adds to a window of what may be sent, which may not get beyond [MaxWindow] but, by SETTINGS, below 0.
func Widen(window *int64, by int64) error {
	if *window += by; *window > MaxWindow {
		return errors.New("a send window beyond 2^31-1")
	}
	return nil
}

// GoAway reads the payload of a GOAWAY frame that [Order.Check] has let pass: the last stream that the server may have looked
// at, an error code, and what the server says about it.
func GoAway(payload []byte) (last, code uint32, why []byte) {
	return binary.BigEndian.Uint32(payload) & LastStream, binary.BigEndian.Uint32(payload[4:]), payload[8:]
}
