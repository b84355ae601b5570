package rpc

import (
	"net"
	"testing"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// FuzzReader feeds a connection with two calls under way. Whatever comes, no call may end twice or be left in two states,
// and what is to be sent stays within bounds.
func FuzzReader(f *testing.F) {
	f.Add(grpcwire.AppendFrame(nil, 0, grpcwire.FrameSettings, 0, 0))
	f.Add(append(grpcwire.AppendFrame(nil, 2, grpcwire.FrameHeaders, grpcwire.FlagEndHeaders|grpcwire.FlagEndStream, 1), 0x88, 0x20))
	f.Add(append(grpcwire.AppendFrame(nil, 6, grpcwire.FrameData, 0, 1), 0, 0, 0, 0, 1, 'x'))
	f.Add(grpcwire.AppendReset(grpcwire.AppendReset(nil, 1, grpcwire.ErrorRefused), 3, grpcwire.ErrorCancel))
	f.Add(append(grpcwire.AppendFrame(nil, 8, grpcwire.FrameGoAway, 0, 0), 0, 0, 0, 1, 0, 0, 0, 0))
	f.Add(append(grpcwire.AppendFrame(nil, 6, grpcwire.FrameSettings, 0, 0), 0, 1, 0, 0, 0, 0))
	f.Add(grpcwire.AppendWindow(grpcwire.AppendWindow(nil, 0, 1<<30), 3, 1<<30))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		c := newConn(near)
		c.known, c.peer.MaxStreams = true, 2
		made := []*call{}
		for _, size := range []int{10, 1 << 17, 3} {
			x := &call{method: "/m", request: make([]byte, size), done: make(chan struct{}, 1)}
			made = append(made, x)
			if !c.begin(x) {
				t.Fatal("a new connection takes no calls")
			}
		}
		r := newReader(c)
		used, err := r.take(b, func(*conn) {})
		if used > len(b) {
			t.Fatalf("took %d bytes of %d", used, len(b))
		}
		for _, x := range made {
			if over := len(x.done) > 0; over != x.over {
				t.Errorf("a call is over: %v, its caller knows: %v", x.over, over)
			}
			if x.over && c.open[x.id] == x {
				t.Error("a call that is over has a stream")
			}
		}
		c.broken = err
		r.endAll()
		for _, x := range made {
			if len(x.done) != 1 || !x.over {
				t.Error("a call has not ended with its connection")
			}
		}
	})
}
