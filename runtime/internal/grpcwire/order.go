package grpcwire

import (
	"errors"
	"fmt"
)

// MaxHeaders bounds a header block, and each string in it, in bytes.
const MaxHeaders = 64 << 10

// Order knows which frames a server may send next, and puts header blocks together. The zero value is for a connection on
// which nothing has come.
type Order struct {
	block  []byte // of a block in more than one frame, what has come
	stream uint32 // 0 unless CONTINUATION has to come next
	ends   bool   // the block ends its stream
}

// Block is a whole header block, still encoded, and whether its stream ends with it.
type Block struct {
	Fields    []byte
	EndStream bool
}

// Check returns why a frame with this header must not come now, or nil. It looks at nothing but the header and changes
// nothing, so that it can be asked before the payload has come. What it lets pass has a payload of a size that its kind can
// have.
func (o *Order) Check(f Frame) error {
	switch {
	case f.Size > DefaultMaxFrame: // AppendPreface announces no more
		return fmt.Errorf("a frame of %d bytes, more than %d", f.Size, DefaultMaxFrame)
	case o.stream != 0 && (f.Kind != FrameContinuation || f.Stream != o.stream):
		return errors.New("a frame in the middle of a header block")
	}
	switch f.Kind {
	case FrameData, FrameHeaders:
		if f.Stream == 0 {
			return errors.New("a frame of a stream without its number")
		}
	case FrameContinuation:
		if o.stream == 0 {
			return errors.New("CONTINUATION without a header block")
		}
	case FramePush:
		return errors.New("PUSH_PROMISE, which was switched off")
	default:
		return checkSize(f)
	}
	return nil
}

// checkSize checks the size of frames that have a fixed layout.
func checkSize(f Frame) error {
	switch {
	case f.Kind == FramePing && f.Size != 8:
		return errors.New("a PING that is not 8 bytes")
	case f.Kind == FrameWindow && f.Size != 4:
		return errors.New("a WINDOW_UPDATE that is not 4 bytes")
	case f.Kind == FrameReset && f.Size != 4:
		return errors.New("a RST_STREAM that is not 4 bytes")
	case f.Kind == FrameSettings && f.Size%settingSize != 0:
		return errors.New("SETTINGS of a broken length")
	case f.Kind == FrameGoAway && f.Size < 8:
		return errors.New("a GOAWAY that is too short")
	}
	return nil
}

// Headers takes in the payload of a HEADERS or CONTINUATION frame that Check has let pass. With the last frame of a block it
// returns the block, whose fields may be a part of the payload.
func (o *Order) Headers(f Frame, payload []byte) (b Block, complete bool, err error) {
	if f.Kind == FrameHeaders {
		if payload, err = Unpad(f, payload); err != nil {
			return Block{}, false, err
		}
		o.ends = f.Flags&FlagEndStream != 0
		if f.Flags&FlagEndHeaders != 0 { // nearly all of them: no copy
			return Block{Fields: payload, EndStream: o.ends}, true, nil
		}
	}
	if len(o.block)+len(payload) > MaxHeaders {
		return Block{}, false, fmt.Errorf("a header block of more than %d bytes", MaxHeaders)
	}
	o.block, o.stream = append(o.block, payload...), f.Stream
	if f.Flags&FlagEndHeaders == 0 {
		return Block{}, false, nil
	}
	b = Block{Fields: o.block, EndStream: o.ends}
	o.block, o.stream = nil, 0
	return b, true, nil
}

// Unpad takes the padding, and the priority of HEADERS, off the payload of a DATA or HEADERS frame.
func Unpad(f Frame, payload []byte) ([]byte, error) {
	pad := 0
	if f.Flags&FlagPadded != 0 {
		if len(payload) == 0 {
			return nil, errors.New("a padded frame without a length")
		}
		pad, payload = int(payload[0]), payload[1:]
	}
	if f.Kind == FrameHeaders && f.Flags&FlagPriority != 0 {
		if len(payload) < 5 {
			return nil, errors.New("a HEADERS frame without its priority")
		}
		payload = payload[5:]
	}
	if pad > len(payload) {
		return nil, errors.New("more padding than frame")
	}
	return payload[:len(payload)-pad], nil
}
