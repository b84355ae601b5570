package h2

import (
	"bytes"
	"testing"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// TestPaddingIsGivenBack: a peer counts the padding of its frames against both windows, so that both get it back.
func TestPaddingIsGivenBack(t *testing.T) {
	t.Parallel()
	const padding, frames = 200, 10
	c := pipe(1 << 20)
	defer c.nc.Close()
	c.cfg.Window = 4 * frames * (1 + padding)
	s := &Stream{conn: c, id: 1, handler: &counter{}}
	c.streams = []*Stream{s}
	c.hold()
	for i := range frames {
		if len(c.out) > 0 {
			t.Fatalf("something was sent after %d frames", i)
		}
		frame := append(grpcwire.AppendFrame(nil, 1+padding, grpcwire.FrameData, grpcwire.FlagPadded, 1), padding)
		if err := c.read.feed(c, append(frame, make([]byte, padding)...)); err != nil {
			t.Fatal(err)
		}
	}
	want := grpcwire.AppendWindow(grpcwire.AppendWindow(nil, 0, frames*(1+padding)), 1, frames*(1+padding))
	if !bytes.Equal(c.out, want) {
		t.Errorf("a quarter of the windows was used up, and % x was sent, want % x", c.out, want)
	}
}
