package rpc

import "encoding/binary"

// Frame types, flags, settings and error codes of RFC 9113 that are used here.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePush         = 0x5
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindow       = 0x8
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagAck        = 0x1 // of SETTINGS and PING
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	settingHeaderTable   = 0x1
	settingPush          = 0x2
	settingMaxStreams    = 0x3
	settingInitialWindow = 0x4
	settingMaxFrame      = 0x5

	errorRefused  = 0x7
	errorCancel   = 0x8
	errorCalmDown = 0xb
	errorSecurity = 0xc

	frameHeaderSize = 9
	defaultWindow   = 1<<16 - 1
	defaultMaxFrame = 1 << 14
	largestFrame    = 1<<24 - 1
	largestWindow   = 1<<31 - 1
	lastStream      = 1<<31 - 1
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// window is how many bytes of answers may be under way, on a stream and on all of them together. The reader takes in what
// comes at once, so that more would only be in the kernel.
const window = 1 << 20

// frameHeader is the beginning of every frame.
type frameHeader struct {
	size   int
	kind   byte
	flags  byte
	stream uint32
}

// parseHeader reads the first 9 bytes of a frame.
func parseHeader(b []byte) frameHeader {
	return frameHeader{
		size: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & lastStream,
	}
}

func appendFrame(b []byte, size int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(size>>16), byte(size>>8), byte(size), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// appendPreface begins a connection.
func appendPreface(b []byte) []byte {
	b = append(b, preface...)
	b = appendFrame(b, 2*6, frameSettings, 0, 0)
	for _, s := range [][2]uint32{{settingPush, 0}, {settingInitialWindow, window}} {
		b = binary.BigEndian.AppendUint16(b, uint16(s[0]))
		b = binary.BigEndian.AppendUint32(b, s[1])
	}
	return appendWindow(b, 0, window-defaultWindow)
}

func appendWindow(b []byte, stream uint32, n int) []byte {
	b = appendFrame(b, 4, frameWindow, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func appendReset(b []byte, stream, code uint32) []byte {
	b = appendFrame(b, 4, frameReset, 0, stream)
	return binary.BigEndian.AppendUint32(b, code)
}
