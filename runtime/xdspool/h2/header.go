package h2

import (
	"fmt"
	"net/url"
	"strconv"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Header is one field of a request's metadata. Names are lower case.
type Header struct{ Name, Value string }

// maxHeaders bounds a header block, in bytes.
const maxHeaders = 64 << 10

// appendField is a header field as a literal that no table keeps and no one compresses (RFC 7541, 6.2.2): requests are
// sent once a stream, and tokens do not get shorter.
func appendField(b []byte, name, value string) []byte {
	b = append(b, 0)
	b = append(appendLength(b, len(name)), name...)
	return append(appendLength(b, len(value)), value...)
}

// appendLength is a string's length with a 7-bit prefix and without the Huffman flag (RFC 7541, 5.1 and 5.2).
func appendLength(b []byte, n int) []byte {
	const prefix = 1<<7 - 1
	if n < prefix {
		return append(b, byte(n))
	}
	b = append(b, prefix)
	for n -= prefix; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// request is the header block of a gRPC call.
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
		b = appendField(b, h.Name, h.Value)
	}
	for _, h := range extra {
		b = appendField(b, h.Name, h.Value)
	}
	return b
}

// answer is what a header block from the server says.
type answer struct {
	httpStatus string
	grpcStatus string
	message    string
}

// decode reads a header block. The peer keeps no table (see appendPreface), so a decoder needs no past.
func decode(block []byte) (answer, error) {
	var a answer
	d := hpack.NewDecoder(0, func(f hpack.HeaderField) {
		switch f.Name {
		case ":status":
			a.httpStatus = f.Value
		case "grpc-status":
			a.grpcStatus = f.Value
		case "grpc-message":
			a.message = f.Value
		}
	})
	d.SetMaxStringLength(maxHeaders)
	if _, err := d.Write(block); err != nil {
		return a, fmt.Errorf("header block: %w", err)
	}
	if err := d.Close(); err != nil {
		return a, fmt.Errorf("header block: %w", err)
	}
	return a, nil
}

// failed returns why a response that begins like this is none, or nil. The mapping is gRPC's (doc/http-grpc-status-mapping.md).
func (a answer) failed() error {
	if a.httpStatus == "" || a.httpStatus == "200" {
		return nil
	}
	code := codes.Unknown
	switch a.httpStatus {
	case "400":
		code = codes.Internal
	case "401":
		code = codes.Unauthenticated
	case "403":
		code = codes.PermissionDenied
	case "404":
		code = codes.Unimplemented
	case "429", "502", "503", "504":
		code = codes.Unavailable
	}
	return status.Errorf(code, "unexpected HTTP status %s", a.httpStatus)
}

// status is the end of a call.
func (a answer) status() error {
	if err := a.failed(); err != nil {
		return err
	}
	n, err := strconv.ParseUint(a.grpcStatus, 10, 32)
	if err != nil {
		return status.Errorf(codes.Internal, "the server ended the stream with grpc-status %q", a.grpcStatus)
	}
	message := a.message
	if m, err := url.PathUnescape(message); err == nil {
		message = m
	}
	return status.Error(codes.Code(n), message)
}

// resetStatus is the end of a call by RST_STREAM (gRPC's PROTOCOL-HTTP2.md, Errors).
func resetStatus(code uint32) error {
	c := codes.Internal
	switch code {
	case errorRefused:
		c = codes.Unavailable
	case errorCancel:
		c = codes.Canceled
	case errorCalmDown:
		c = codes.ResourceExhausted
	case errorSecurity:
		c = codes.PermissionDenied
	}
	return status.Errorf(c, "stream terminated by RST_STREAM with error code %d", code)
}
