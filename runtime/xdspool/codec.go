package xdspool

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// frame is a received message as it came off the wire, in a pooled buffer.
type frame struct{ buf mem.Buffer }

func (f *frame) bytes() []byte { return f.buf.ReadOnlyData() }

// free gives the buffer back; bytes must not be used afterwards.
func (f *frame) free() {
	if f.buf != nil {
		f.buf.Free()
		f.buf = nil
	}
}

// codec marshals requests, which are few and small, and leaves responses alone.
type codec struct{}

// Name makes the content type that of protobuf, which istiod expects.
func (codec) Name() string { return "proto" }

// Marshal encodes v, a proto.Message.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal hands data over to v, a *frame.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("cannot receive into a %T", v)
	}
	f.free()
	f.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
