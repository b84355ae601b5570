package grpcwire

import (
	"fmt"

	"golang.org/x/net/http2/hpack"
)

// How a field is to be treated by who reads it (RFC 7541, 6.2.1 and 6.2.2).
const (
	FieldKept    = 0x40 // goes into the table
	FieldNotKept = 0
)

// AppendField appends a header field in full, to be treated as how says. It is not compressed: what a request says is as
// short as it gets, or random.
func AppendField(b []byte, how byte, name, value string) []byte {
	b = append(b, how)
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

// Decoder reads the header blocks of a connection, in the order they come.
type Decoder struct {
	hpack *hpack.Decoder
	read  Response
}

// NewDecoder returns a decoder that keeps a table of as many bytes as the connection's preface said. One without a table
// needs to know of no block but the one it reads.
func NewDecoder(table uint32) *Decoder {
	d := &Decoder{}
	d.hpack = hpack.NewDecoder(table, d.take)
	d.hpack.SetMaxStringLength(MaxHeaders)
	return d
}

func (d *Decoder) take(f hpack.HeaderField) {
	switch f.Name {
	case ":status":
		d.read.httpStatus = f.Value
	case "grpc-status":
		d.read.grpcStatus = f.Value
	case "grpc-message":
		d.read.message = f.Value
	}
}

// Decode reads the fields of a header block. After an error the connection is of no use any more: nobody knows what is in
// the table.
func (d *Decoder) Decode(fields []byte) (Response, error) {
	d.read = Response{}
	if _, err := d.hpack.Write(fields); err != nil {
		return Response{}, fmt.Errorf("header block: %w", err)
	}
	if err := d.hpack.Close(); err != nil {
		return Response{}, fmt.Errorf("header block: %w", err)
	}
	return d.read, nil
}
