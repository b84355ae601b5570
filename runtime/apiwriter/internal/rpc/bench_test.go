package rpc

import (
	"bytes"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// BenchmarkCalls is what 64 calls of a kilobyte and their answers of thirty bytes cost a connection, but for the socket and
// for the callers' waiting.
func BenchmarkCalls(b *testing.B) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := newConn(near)
	c.known = true
	c.window = 1 << 60
	r := newReader(c)
	var made [64]*call
	for i := range made {
		made[i] = &call{done: make(chan struct{}, 1)}
	}
	var wire, block bytes.Buffer
	fr, enc := http2.NewFramer(&wire, nil), hpack.NewEncoder(&block)
	fields := func(pairs ...string) []byte {
		block.Reset()
		for i := 0; i < len(pairs); i += 2 {
			if err := enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
				b.Fatal(err)
			}
		}
		return block.Bytes()
	}
	request, answer, body := make([]byte, 1024), make([]byte, 0, 64), append([]byte{0, 0, 0, 0, 30}, make([]byte, 30)...)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		wire.Reset()
		for i := range made {
			id := c.nextID + 2*uint32(i)
			write(b, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields(":status", "200", "content-type", "application/grpc"), EndHeaders: true}))
			write(b, fr.WriteData(id, false, body))
			write(b, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields("grpc-status", "0", "grpc-message", ""), EndHeaders: true, EndStream: true}))
		}
		b.StartTimer()
		for _, x := range made {
			*x = call{method: "/etcdserverpb.KV/Txn", request: request, answer: answer, done: x.done}
			c.begin(x)
		}
		if used, err := r.take(wire.Bytes(), func(*conn) {}); err != nil || used != wire.Len() {
			b.Fatalf("took %d bytes of %d: %v", used, wire.Len(), err)
		}
		for _, x := range made {
			<-x.done
			if x.err != nil {
				b.Fatal(x.err)
			}
		}
		c.out = c.out[:0]
	}
}

func write(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
