package xdspool

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a protobuf message. Depending on its kind the value is in bytes or in varint; fixed-width
// values are skipped, because nothing that is read here has one.
type field struct {
	num    protowire.Number
	kind   protowire.Type
	bytes  []byte
	varint uint64
}

// nextField splits the first field off b. Lengths are checked against b, and nothing is allocated, whatever b says.
func nextField(b []byte) (field, []byte, error) {
	num, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return field{}, nil, fmt.Errorf("bad tag: %w", protowire.ParseError(n))
	}
	b = b[n:]
	f := field{num: num, kind: kind}
	switch kind {
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		_, n = protowire.ConsumeFixed32(b)
	case protowire.Fixed64Type:
		_, n = protowire.ConsumeFixed64(b)
	default:
		// Groups nest without a length, and proto3 has none.
		return field{}, nil, fmt.Errorf("field %d: wire type %d is not used in proto3", num, kind)
	}
	if n < 0 {
		return field{}, nil, fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
	}
	return f, b[n:], nil
}

// eachField calls visit for every field of the message b, in the order of the wire.
func eachField(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// eachMessage calls visit for every occurrence of the length-delimited field num in the message b.
func eachMessage(b []byte, num protowire.Number, visit func([]byte) error) error {
	return eachField(b, func(f field) error {
		if f.num != num || f.kind != protowire.BytesType {
			return nil
		}
		return visit(f.bytes)
	})
}

// message returns the last occurrence of the length-delimited field num in b, which is the one that counts where
// istiod (which never splits a message) is the writer; nil if there is none.
func message(b []byte, num protowire.Number) (found []byte, err error) {
	err = eachMessage(b, num, func(m []byte) error {
		found = m
		return nil
	})
	return found, err
}
