package rpc

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// sent returns how many bytes of DATA the client sends by itself now. Two pings tell that there is no more: what the first
// finds waiting in the client's reader goes out before the second is answered.
func (p *peer) sent() (n int, err error) {
	for ping := byte(1); ping <= 2; ping++ {
		if err := p.fr.WritePing(false, [8]byte{ping}); err != nil {
			return 0, err
		}
		for answered := false; !answered; {
			f, err := p.fr.ReadFrame()
			if err != nil {
				return 0, err
			}
			switch f := f.(type) {
			case *http2.DataFrame:
				n += len(f.Data())
			case *http2.PingFrame:
				answered = f.IsAck() && f.Data[0] == ping
			}
		}
	}
	return n, nil
}

// opened waits for the beginning of a call.
func (p *peer) opened() error {
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			return err
		}
		if _, ok := f.(*http2.MetaHeadersFrame); ok {
			return nil
		}
	}
}

// TestTheServersWindows: no byte more than the windows of the stream and of the connection both allow, and none less.
func TestTheServersWindows(t *testing.T) {
	t.Parallel()
	const size = 200_000
	c := script(t, func(p *peer) error {
		initial := func(n uint32) error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: n})
		}
		total := 0
		for _, step := range []struct {
			name string
			do   func() error
			want int
		}{
			{"both windows are used up", p.opened, grpcwire.DefaultWindow},
			{"the stream's is wider", func() error { return p.fr.WriteWindowUpdate(1, 1000) }, 0},
			{"the connection's is wider too", func() error { return p.fr.WriteWindowUpdate(0, 500) }, 500},
			{"every stream's is wider", func() error { return initial(grpcwire.DefaultWindow + 2000) }, 0},
			{"the connection's is, by more", func() error { return p.fr.WriteWindowUpdate(0, 5000) }, 2500},
			{"every stream's is narrower: less than nothing", func() error { return initial(grpcwire.DefaultWindow - 1000) }, 0},
			{"it is nothing", func() error { return p.fr.WriteWindowUpdate(1, 3000) }, 0},
			{"it is something", func() error { return p.fr.WriteWindowUpdate(1, 1) }, 1},
			{"the stream's is wide", func() error { return p.fr.WriteWindowUpdate(1, 1<<20) }, 2499},
			{"the connection's is wide", func() error { return p.fr.WriteWindowUpdate(0, 1<<20) }, size + grpcwire.MessageHeader - grpcwire.DefaultWindow - 5500},
		} {
			if err := step.do(); err != nil {
				return err
			}
			n, err := p.sent()
			if err != nil {
				return err
			}
			if total += n; n != step.want {
				t.Errorf("%s: %d bytes were sent, want %d", step.name, n, step.want)
			}
		}
		if total != size+grpcwire.MessageHeader {
			t.Errorf("%d bytes were sent in all", total)
		}
		return p.answer(1, "enough")
	})
	if got, err := say(t.Context(), c, strings.Repeat("x", size)); got != "enough" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
