// Package grpcwire is what a gRPC client writes to an HTTP/2 connection and reads from it, as bytes: the layout of frames,
// the rules that a server's frames keep, what its SETTINGS allow, its header blocks and what they say about a call, and the
// header of a message.
//
// It knows of no connection, stream or call. Two clients are built on it which have nothing else in common, one for many
// streams that are idle and one for many short calls; each keeps its own buffers, windows and locks. Nothing here is safe
// for concurrent use.
package grpcwire

import "encoding/binary"

// Types of frames (RFC 9113, 6). PRIORITY is to be ignored, as is what a client does not know.
const (
	FrameData         = 0x0
	FrameHeaders      = 0x1
	FrameReset        = 0x3
	FrameSettings     = 0x4
	FramePush         = 0x5
	FramePing         = 0x6
	FrameGoAway       = 0x7
	FrameWindow       = 0x8
	FrameContinuation = 0x9
)

// Flags of frames (RFC 9113, 6). FlagAck is that of SETTINGS and PING.
const (
	FlagEndStream  = 0x1
	FlagAck        = 0x1
	FlagEndHeaders = 0x4
	FlagPadded     = 0x8
	FlagPriority   = 0x20
)

// Error codes of RST_STREAM and GOAWAY (RFC 9113, 7).
const (
	ErrorNone     = 0x0
	ErrorRefused  = 0x7
	ErrorCancel   = 0x8
	ErrorCalmDown = 0xb
	ErrorSecurity = 0xc
)

// Sizes in bytes that hold until SETTINGS say otherwise, the bounds of what they may say, and the last number of a stream.
const (
	FrameHeaderSize = 9
	DefaultWindow   = 1<<16 - 1
	DefaultMaxFrame = 1 << 14
	DefaultTable    = 4096 // of header fields
	MaxWindow       = 1<<31 - 1
	LastStream      = 1<<31 - 1

	largestMaxFrame = 1<<24 - 1
)

// Preface is what a client's connection begins with, before the first frame.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Frame is the header of a frame. Size is that of the payload, in bytes.
type Frame struct {
	Size   int
	Kind   byte
	Flags  byte
	Stream uint32
}

// ParseFrame reads the header of a frame, the first [FrameHeaderSize] bytes of b, which has to have as many.
func ParseFrame(b []byte) Frame {
	return Frame{
		Size: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), Kind: b[3], Flags: b[4],
		Stream: binary.BigEndian.Uint32(b[5:]) & LastStream,
	}
}

// AppendFrame appends the header of a frame whose payload has size bytes.
func AppendFrame(b []byte, size int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(size>>16), byte(size>>8), byte(size), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// SetSize makes all that follows a frame's header in b its payload. It serves a payload whose size is known late.
func SetSize(b []byte) {
	size := len(b) - FrameHeaderSize
	b[0], b[1], b[2] = byte(size>>16), byte(size>>8), byte(size)
}

// AppendPreface begins a connection: [Preface] and SETTINGS. The server is told how many bytes of its header fields table
// keeps, to open no streams, and to send up to window bytes on a stream and, if that is more than [DefaultWindow], on all of
// them together.
func AppendPreface(b []byte, window, table int) []byte {
	b = append(b, Preface...)
	b = AppendFrame(b, 3*settingSize, FrameSettings, 0, 0)
	b = appendSetting(b, settingHeaderTable, table)
	b = appendSetting(b, settingPush, 0)
	b = appendSetting(b, settingInitialWindow, window)
	if window > DefaultWindow {
		b = AppendWindow(b, 0, window-DefaultWindow)
	}
	return b
}

// AppendWindow appends a WINDOW_UPDATE that lets the server send n bytes more on a stream; 0 is the connection.
func AppendWindow(b []byte, stream uint32, n int) []byte {
	b = AppendFrame(b, 4, FrameWindow, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// AppendReset appends a RST_STREAM.
func AppendReset(b []byte, stream, code uint32) []byte {
	b = AppendFrame(b, 4, FrameReset, 0, stream)
	return binary.BigEndian.AppendUint32(b, code)
}

// AppendPing appends a PING, or the answer to one.
func AppendPing(b []byte, data [8]byte, ack bool) []byte {
	var flags byte
	if ack {
		flags = FlagAck
	}
	b = AppendFrame(b, len(data), FramePing, flags, 0)
	return append(b, data[:]...)
}
