package rpc

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fields of every request that are in the static table of RFC 7541, as their whole encoding.
const (
	fieldPOST = 0x80 | 3
	fieldHTTP = 0x80 | 6
)

// Sizes of RFC 7541: of the static table, of what an entry of the dynamic table counts beyond its text, and of a table whose
// owner has not said otherwise.
const (
	staticTable  = 61
	entryCost    = 32
	defaultTable = 4096
)

// field is one of a header block.
type field struct{ name, value string }

// Fields of every request besides its path. grpc-go's server takes none without them.
var (
	fieldAuthority = field{":authority", "localhost"}
	fieldType      = field{"content-type", "application/grpc"}
	fieldTE        = field{"te", "trailers"}
)

// table is what the server's table of header fields holds: with the second call of a method its whole header block is a few
// bytes, which name entries.
type table struct {
	fields []field // in the order they went in; the last has the lowest index
	size   int
	limit  int  // what size must not exceed
	shrunk bool // the limit is 0 now, which the next block has to say
}

// forgo has nothing kept any more. That is simpler than to track what a small table would keep.
func (t *table) forgo() {
	t.fields, t.size, t.limit, t.shrunk = nil, 0, 0, true
}

// appendRequest is the header block of a call.
func (t *table) appendRequest(b []byte, method string) []byte {
	if t.shrunk {
		t.shrunk = false
		b = append(b, 0x20) // a table of size 0 (RFC 7541, 6.3)
	}
	b = append(b, fieldPOST, fieldHTTP)
	b = t.append(b, field{":path", method})
	b = t.append(b, fieldAuthority)
	b = t.append(b, fieldType)
	return t.append(b, fieldTE)
}

// append encodes f by its index, or as a literal that gets one if there is room.
func (t *table) append(b []byte, f field) []byte {
	if i := slices.Index(t.fields, f); i >= 0 {
		return append(b, 0x80|byte(staticTable+len(t.fields)-i)) // RFC 7541, 6.1
	}
	cost := len(f.name) + len(f.value) + entryCost
	if t.size+cost <= t.limit && len(t.fields) < 0x7f-staticTable-1 { // an index beyond takes a second byte
		t.size += cost
		t.fields = append(t.fields, f)
		b = append(b, 0x40) // 6.2.1
	} else {
		b = append(b, 0) // 6.2.2
	}
	b = append(appendLength(b, len(f.name)), f.name...)
	return append(appendLength(b, len(f.value)), f.value...)
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

// maxHeaders bounds a header block and each string in it, in bytes.
const maxHeaders = 64 << 10

// response is what a header block from the server says.
type response struct {
	httpStatus string
	grpcStatus string
	message    string
}

// decoder reads the header blocks of a connection, in the order they come.
type decoder struct {
	hpack *hpack.Decoder
	read  response
}

func newDecoder() *decoder {
	d := &decoder{}
	d.hpack = hpack.NewDecoder(defaultTable, d.take)
	d.hpack.SetMaxStringLength(maxHeaders)
	return d
}

func (d *decoder) take(f hpack.HeaderField) {
	switch f.Name {
	case ":status":
		d.read.httpStatus = f.Value
	case "grpc-status":
		d.read.grpcStatus = f.Value
	case "grpc-message":
		d.read.message = f.Value
	}
}

func (d *decoder) decode(block []byte) (response, error) {
	d.read = response{}
	if _, err := d.hpack.Write(block); err != nil {
		return d.read, fmt.Errorf("header block: %w", err)
	}
	if err := d.hpack.Close(); err != nil {
		return d.read, fmt.Errorf("header block: %w", err)
	}
	return d.read, nil
}

// failed returns why an answer that begins like this is none, or nil. The mapping is gRPC's (doc/http-grpc-status-mapping.md).
func (r response) failed() error {
	if r.httpStatus == "" || r.httpStatus == "200" {
		return nil
	}
	code := codes.Unknown
	switch r.httpStatus {
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
	return status.Errorf(code, "unexpected HTTP status %s", r.httpStatus)
}

// status is the end of a call: nil if the server says that all is well.
func (r response) status() error {
	if err := r.failed(); err != nil {
		return err
	}
	if r.grpcStatus == "0" {
		return nil
	}
	n, err := strconv.ParseUint(r.grpcStatus, 10, 32)
	if err != nil {
		return status.Errorf(codes.Internal, "the server ended the call with grpc-status %q", r.grpcStatus)
	}
	message := r.message
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
	return status.Errorf(c, "the server ended the call with RST_STREAM, error code %d", code)
}
