package h2

import "github.com/plscript/plscript/runtime/internal/grpcwire"

// Header is one field of a request's metadata. Names are lower case.
type Header struct{ Name, Value string }

// request is the header block of a gRPC call. It leaves the peer nothing to keep: requests are sent once a stream.
func (c *Conn) request(authority, path string, extra []Header) []byte {
	scheme := "http"
	if c.cfg.TLS != nil {
		scheme = "https"
	}
	var b []byte
	for _, h := range []Header{
		{":method", "POST"}, {":scheme", scheme}, {":path", path}, {":authority", authority},
		{"content-type", "application/grpc"}, {"user-agent", c.cfg.UserAgent}, {"te", "trailers"},
	} {
		b = grpcwire.AppendField(b, grpcwire.FieldNotKept, h.Name, h.Value)
	}
	for _, h := range extra {
		b = grpcwire.AppendField(b, grpcwire.FieldNotKept, h.Name, h.Value)
	}
	return b
}

// appendBlock is a header block, in as many frames as it takes.
func appendBlock(b []byte, stream uint32, block []byte, maxFrame int) []byte {
	kind := byte(grpcwire.FrameHeaders)
	for {
		n, flags := min(len(block), maxFrame), byte(0)
		if n == len(block) {
			flags = grpcwire.FlagEndHeaders
		}
		b = append(grpcwire.AppendFrame(b, n, kind, flags, stream), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return b
		}
		kind = grpcwire.FrameContinuation
	}
}
