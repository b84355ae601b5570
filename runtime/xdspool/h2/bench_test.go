package h2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

// BenchmarkReader takes in a message of 1 MB in the pieces and frames that a server sends, and, for each time it is whole, a
// hundred short ones.
func BenchmarkReader(b *testing.B) {
	for name, sizes := range map[string][]int{"long": {1 << 20}, "short": make([]int, 100)} {
		b.Run(name, func(b *testing.B) {
			var wire bytes.Buffer
			fr := http2.NewFramer(&wire, nil)
			for _, size := range sizes {
				for body := append([]byte{0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, make([]byte, size)...); len(body) > 0; {
					n := min(len(body), 1<<14)
					if err := fr.WriteData(1, false, body[:n]); err != nil {
						b.Fatal(err)
					}
					body = body[n:]
				}
			}
			c := pipe(1 << 30)
			defer c.nc.Close()
			c.cfg.Window = 1 << 30 // nothing is written
			s := &Stream{conn: c, id: 1, handler: &counter{}}
			c.streams = []*Stream{s}
			b.SetBytes(int64(wire.Len()))
			b.ReportAllocs()
			for b.Loop() {
				c.acked, s.consumed = 0, 0
				for rest := wire.Bytes(); len(rest) > 0; {
					n := min(len(rest), busyBuffer)
					if err := c.read.feed(c, rest[:n]); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
			}
		})
	}
}

// BenchmarkStreams opens a stream and has the server end it.
func BenchmarkStreams(b *testing.B) {
	c := pipe(1 << 20)
	defer c.nc.Close()
	c.hold()
	var wire bytes.Buffer
	fr := http2.NewFramer(&wire, nil)
	b.ReportAllocs()
	for b.Loop() {
		s, err := c.Open("server", method, nil, &counter{})
		if err != nil {
			b.Fatal(err)
		}
		wire.Reset()
		err = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.read.feed(c, wire.Bytes()); err != nil {
			b.Fatal(err)
		}
		c.out = c.out[:0]
	}
}
