package skim

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// message says what is kept of an encoded message of one type.
type message struct {
	fields []*message // by number
	rest   bool       // keep the fields that are not listed, too
	// only, if it is set, decides by its body whether a message is kept.
	only func(body []byte) bool
	// filled leaves out a message of which nothing is kept.
	filled bool
}

// Marks for fields: one that is kept as it is, one that is left out of a message with rest.
var (
	whole   = &message{}
	without = &message{}
)

// field says what is kept of the field with this number; nil means what rest says.
func (m *message) field(num protowire.Number) *message {
	if int(num) < len(m.fields) {
		return m.fields[num]
	}
	return nil
}

// appendKept appends to out what m keeps of the message in.
func (m *message) appendKept(out, in []byte) ([]byte, error) {
	for len(in) > 0 {
		f, err := next(in)
		if err != nil {
			return nil, err
		}
		in = in[len(f.all):]
		switch of := m.field(f.num); {
		case of == without, of == nil && !m.rest:
		case of == nil, of == whole, f.body == nil:
			out = append(out, f.all...)
		case of.only == nil || of.only(f.body):
			if out, err = of.appendNested(out, f); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// paddedLength is the size of the length of a nested message, whatever it is: it is known only after the message has been
// written, and a varint may have leading zeros.
const paddedLength = 4

// appendNested appends the nested message f, with what m keeps of its body.
func (m *message) appendNested(out []byte, f field) ([]byte, error) {
	before := len(out)
	out = protowire.AppendTag(out, f.num, protowire.BytesType)
	out = append(out, 0x80, 0x80, 0x80, 0)
	start := len(out)
	out, err := m.appendKept(out, f.body)
	if err != nil {
		return nil, err
	}
	size := len(out) - start
	if size == 0 && m.filled {
		return out[:before], nil
	}
	if size >= 1<<(7*paddedLength) {
		return nil, fmt.Errorf("a protobuf message of %d bytes", size)
	}
	for i := range paddedLength {
		out[start-paddedLength+i] |= byte(size>>(7*i)) & 0x7f
	}
	return out, nil
}

// field is one of an encoded message.
type field struct {
	num  protowire.Number
	all  []byte // with its tag
	body []byte // of a nested message, a string or bytes; else nil
}

// next is the first field of in. Most fields are strings and nested messages with a tag of one byte.
func next(in []byte) (field, error) {
	tag, n := varint(in)
	if n > 0 && tag&7 == uint64(protowire.BytesType) && tag>>3 > 0 {
		if size, prefix := varint(in[n:]); prefix > 0 && size <= uint64(len(in)-n-prefix) {
			end := n + prefix + int(size)
			return field{num: protowire.Number(tag >> 3), all: in[:end], body: in[n+prefix : end]}, nil
		}
	}
	num, typ, n := protowire.ConsumeTag(in)
	if n < 0 {
		return field{}, fmt.Errorf("a protobuf message: %w", protowire.ParseError(n))
	}
	size := protowire.ConsumeFieldValue(num, typ, in[n:])
	if size < 0 {
		return field{}, fmt.Errorf("field %d of a protobuf message: %w", num, protowire.ParseError(size))
	}
	f := field{num: num, all: in[:n+size]}
	if typ == protowire.BytesType {
		f.body, _ = protowire.ConsumeBytes(in[n:])
	}
	return f, nil
}

// varint decodes a number of up to two bytes; the size of longer ones is 0.
func varint(in []byte) (v uint64, size int) {
	switch {
	case len(in) > 0 && in[0] < 0x80:
		return uint64(in[0]), 1
	case len(in) > 1 && in[1] < 0x80:
		return uint64(in[0]&0x7f) | uint64(in[1])<<7, 2
	}
	return 0, 0
}

// find is the body of what is last set under the path of field numbers in a message; nil if nothing is, or the message is
// broken before it.
func find(in []byte, path ...protowire.Number) (body []byte) {
	for len(in) > 0 {
		f, err := next(in)
		if err != nil {
			return body
		}
		in = in[len(f.all):]
		if f.num != path[0] || f.body == nil {
			continue
		}
		found := f.body
		if len(path) > 1 {
			found = find(f.body, path[1:]...)
		}
		if found != nil {
			body = found
		}
	}
	return body
}
