package rpc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// slowly is a connection on which every byte is written by itself.
type slowly struct{ net.Conn }

func (s slowly) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestAnswersInPieces(t *testing.T) {
	t.Parallel()
	c := script(t, func(p *peer) error {
		p.fr = http2.NewFramer(slowly{p.nc}, p.nc)
		p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for range 2 {
			stream, message, err := p.request()
			if err != nil {
				return err
			}
			head := bytes.Clone(p.fields(":status", "200", "content-type", "application/grpc"))
			trailer := bytes.Clone(p.fields("grpc-status", "0"))
			body := framed("re: " + string(message))
			err = errors.Join(
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head[:1], PadLength: 3, Priority: http2.PriorityParam{Weight: 7}}),
				p.fr.WriteContinuation(stream, true, head[1:]),
				p.fr.WriteDataPadded(stream, false, body[:3], make([]byte, 9)),
				p.fr.WriteData(stream, false, nil),
				p.fr.WriteData(stream, false, body[3:]),
				p.fr.WritePing(false, [8]byte{1}),
				p.fr.WriteRawFrame(0xbe, 0, 0, []byte("what nobody knows is ignored")),
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: trailer, EndHeaders: true, EndStream: true}),
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
	answered(t, c, "one")
	answered(t, c, "two")
}

func TestPingsAreAnswered(t *testing.T) {
	t.Parallel()
	ponged := make(chan [8]byte, 1)
	c := script(t, func(p *peer) error {
		if err := p.fr.WritePing(false, [8]byte{1, 2, 3}); err != nil {
			return err
		}
		for {
			f, err := p.fr.ReadFrame()
			if err != nil {
				return err
			}
			if f, ok := f.(*http2.PingFrame); ok && f.IsAck() {
				ponged <- f.Data
				return nil
			}
		}
	}, well)
	_, _ = say(t.Context(), c, "which ends with the connection") // or is made on the next, should that come first
	if got := <-ponged; got != [8]byte{1, 2, 3} {
		t.Errorf("answered with %v", got)
	}
	answered(t, c, "the next connection")
}

// TestWhatIsNoAnswer: a broken answer is the error of its call, and a broken frame that of the connection; the next call is
// carried out in either case.
func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	begin := func(p *peer, stream uint32) error {
		return p.headers(stream, false, ":status", "200", "content-type", "application/grpc")
	}
	for name, tt := range map[string]struct {
		do   func(p *peer, stream uint32) error
		code codes.Code
		over bool // the connection is
	}{
		"refused":           {func(p *peer, s uint32) error { return p.fr.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, codes.Unavailable, false},
		"reset":             {func(p *peer, s uint32) error { return p.fr.WriteRSTStream(s, http2.ErrCodeInternal) }, codes.Internal, false},
		"cancelled":         {func(p *peer, s uint32) error { return p.fr.WriteRSTStream(s, http2.ErrCodeCancel) }, codes.Canceled, false},
		"too busy":          {func(p *peer, s uint32) error { return p.fr.WriteRSTStream(s, http2.ErrCodeEnhanceYourCalm) }, codes.ResourceExhausted, false},
		"not secure":        {func(p *peer, s uint32) error { return p.fr.WriteRSTStream(s, http2.ErrCodeInadequateSecurity) }, codes.PermissionDenied, false},
		"no server of gRPC": {func(p *peer, s uint32) error { return p.headers(s, true, ":status", "404") }, codes.Unimplemented, false},
		"a page":            {func(p *peer, s uint32) error { return p.headers(s, false, ":status", "503") }, codes.Unavailable, false},
		"no status":         {func(p *peer, s uint32) error { return p.headers(s, true, ":status", "200") }, codes.Internal, false},
		"well, without":     {func(p *peer, s uint32) error { return p.headers(s, true, ":status", "200", "grpc-status", "0") }, codes.Internal, false},
		"no trailers":       {func(p *peer, s uint32) error { return errors.Join(begin(p, s), p.fr.WriteData(s, true, framed("x"))) }, codes.Internal, false},
		"two": {func(p *peer, s uint32) error {
			return errors.Join(begin(p, s), p.fr.WriteData(s, false, append(framed("x"), framed("y")...)))
		}, codes.Internal, false},
		"half": {func(p *peer, s uint32) error {
			return errors.Join(begin(p, s), p.fr.WriteData(s, false, framed("xyz")[:6]), p.headers(s, true, "grpc-status", "0"))
		}, codes.Internal, false},
		"compressed": {func(p *peer, s uint32) error {
			return errors.Join(begin(p, s), p.fr.WriteData(s, false, []byte{1, 0, 0, 0, 0}))
		}, codes.Internal, false},
		"huge": {func(p *peer, s uint32) error {
			return errors.Join(begin(p, s), p.fr.WriteData(s, false, []byte{0, 255, 0, 0, 0}))
		}, codes.ResourceExhausted, false},
		"a status as such": {func(p *peer, s uint32) error {
			return p.headers(s, true, ":status", "200", "grpc-status", "9", "grpc-message", "no%21")
		}, codes.FailedPrecondition, false},
		"nothing": {func(p *peer, s uint32) error { return nil }, codes.Unavailable, true},
		"a large frame": {func(p *peer, s uint32) error {
			return p.fr.WriteData(s, false, make([]byte, grpcwire.DefaultMaxFrame+1))
		}, codes.Unavailable, true},
		"a promise": {func(p *peer, s uint32) error {
			return p.fr.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: 2, EndHeaders: true})
		}, codes.Unavailable, true},
		"a lost beginning": {func(p *peer, s uint32) error { return p.fr.WriteContinuation(s, true, nil) }, codes.Unavailable, true},
		"a lost end": {func(p *peer, s uint32) error {
			return errors.Join(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s}), p.fr.WritePing(false, [8]byte{}))
		}, codes.Unavailable, true},
		"an endless block": {func(p *peer, s uint32) error { return endless(p, s) }, codes.Unavailable, true},
		"no such index": {func(p *peer, s uint32) error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: []byte{0xff, 0xff, 0x03}, EndHeaders: true})
		}, codes.Unavailable, true},
		"no stream":      {func(p *peer, s uint32) error { return p.fr.WriteData(0, false, nil) }, codes.Unavailable, true},
		"half a setting": {func(p *peer, s uint32) error { return p.fr.WriteRawFrame(http2.FrameSettings, 0, 0, []byte{1, 2, 3}) }, codes.Unavailable, true},
		"a tiny frame size": {func(p *peer, s uint32) error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1})
		}, codes.Unavailable, true},
		"a setting too wide": {func(p *peer, s uint32) error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}, codes.Unavailable, true},
		"a window too wide": {func(p *peer, s uint32) error { return errors.Join(p.fr.WriteWindowUpdate(s, 1<<31-1)) }, codes.Unavailable, true},
		"a short update":    {func(p *peer, s uint32) error { return p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, s, []byte{1}) }, codes.Unavailable, true},
		"a short ping":      {func(p *peer, s uint32) error { return p.fr.WriteRawFrame(http2.FramePing, 0, 0, []byte{1}) }, codes.Unavailable, true},
		"a short reset":     {func(p *peer, s uint32) error { return p.fr.WriteRawFrame(http2.FrameRSTStream, 0, s, []byte{1}) }, codes.Unavailable, true},
		"a short farewell":  {func(p *peer, s uint32) error { return p.fr.WriteRawFrame(http2.FrameGoAway, 0, 0, []byte{1}) }, codes.Unavailable, true},
		"too much padding": {func(p *peer, s uint32) error {
			return p.fr.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, s, []byte{9, 1})
		}, codes.Unavailable, true},
		"padding at nothing": {func(p *peer, s uint32) error {
			return p.fr.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, s, nil)
		}, codes.Unavailable, true},
		"no priority": {func(p *peer, s uint32) error {
			return p.fr.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPriority, s, []byte{1})
		}, codes.Unavailable, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := func(p *peer) error {
				stream, _, err := p.request()
				if err != nil {
					return err
				}
				if err := tt.do(p, stream); err != nil || tt.over {
					return err
				}
				return well(p)
			}
			c := script(t, first, well)
			_, err := say(t.Context(), c, "broken")
			code(t, err, tt.code)
			answered(t, c, "the next")
		})
	}
}

// endless begins a header block that does not fit.
func endless(p *peer, stream uint32) error {
	part := bytes.Repeat([]byte{0}, grpcwire.DefaultMaxFrame)
	err := p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: part})
	for i := 0; i < 4 && err == nil; i++ {
		err = p.fr.WriteContinuation(stream, false, part)
	}
	return err
}

// TestWhatWasNotTakenIsAskedAgain: a server that leaves says which calls it has not looked at.
func TestWhatWasNotTakenIsAskedAgain(t *testing.T) {
	t.Parallel()
	c := script(t, func(p *peer) error {
		if _, _, err := p.request(); err != nil {
			return err
		}
		return p.fr.WriteGoAway(0, http2.ErrCodeNo, nil)
	}, well)
	answered(t, c, "taken by the second")
}

// TestAnEarlyAnswer: the server has heard enough, and the rest of a large request is not sent.
func TestAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	reset := make(chan uint32, 1)
	c := script(t, func(p *peer) error {
		for {
			f, err := p.fr.ReadFrame()
			if err != nil {
				return err
			}
			switch f := f.(type) {
			case *http2.MetaHeadersFrame:
				if err := p.answer(f.StreamID, "enough"); err != nil {
					return err
				}
			case *http2.RSTStreamFrame:
				reset <- f.StreamID
				return well(p)
			}
		}
	})
	if got, err := say(t.Context(), c, strings.Repeat("x", 1<<20)); got != "enough" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if stream := <-reset; stream != 1 {
		t.Errorf("stream %d was reset", stream)
	}
}

// TestAServerThatStops takes nothing and says nothing, as a process that is stopped: every caller can leave, and a call
// that nobody has read yet is none that is lost.
func TestAServerThatStops(t *testing.T) {
	t.Parallel()
	stopped, goOn := make(chan struct{}), make(chan struct{})
	c := script(t, func(p *peer) error {
		// All that the client wants to send, so that it is the socket that is full.
		err := errors.Join(
			p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20}),
			p.fr.WriteWindowUpdate(0, 1<<30))
		if err != nil {
			return err
		}
		close(stopped)
		<-goOn
		p.fr.SetMaxReadFrameSize(1 << 20)
		return well(p)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := say(ctx, c, strings.Repeat("x", 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ended with %v", err)
			}
		})
	}
	<-stopped
	wg.Wait()
	close(goOn)
	answered(t, c, "later")
}

// TestServersThatDie: whatever state its call is in when a connection is lost, a caller hears of it once. One that has not
// begun is made on the next connection.
func TestServersThatDie(t *testing.T) {
	t.Parallel()
	var steps []func(*peer) error
	for range 5 {
		steps = append(steps, (*peer).opened)
	}
	c := script(t, append(steps, func(p *peer) error {
		err := errors.Join(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24}), p.fr.WriteWindowUpdate(0, 1<<24))
		if err != nil {
			return err
		}
		return well(p)
	})...)
	var wg sync.WaitGroup
	for caller := range 20 {
		wg.Go(func() {
			message := strings.Repeat(string(rune('a'+caller)), 100_000) // more than fits into the windows
			for tries := 0; ; tries++ {
				got, err := say(t.Context(), c, message)
				if err == nil {
					if got != "re: "+message[:100] {
						t.Errorf("the call of %.1s has %.30q for an answer", message, got)
					}
					return
				}
				if status.Code(err) != codes.Unavailable || tries > len(steps) {
					t.Errorf("try %d ended with %v", tries, err)
					return
				}
			}
		})
	}
	wg.Wait()
	answered(t, c, "later")
}

// TestStreamsRunOut: after half of 2^31 calls a connection has no numbers left.
func TestStreamsRunOut(t *testing.T) {
	t.Parallel()
	c := script(t, well, well)
	answered(t, c, "first")
	cn := current(c)
	cn.mu.Lock()
	cn.nextID = grpcwire.LastStream
	cn.mu.Unlock()
	answered(t, c, "last")
	answered(t, c, "first of the next")
	if !over(cn) {
		t.Error("a connection without numbers is used on")
	}
}

// TestTheTableGoes: once a server wants no table, a block refers to nothing that was said before.
func TestTheTableGoes(t *testing.T) {
	t.Parallel()
	c := script(t, func(p *peer) error {
		stream, _, err := p.request()
		if err != nil {
			return err
		}
		if err := errors.Join(p.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}), p.answer(stream, "re: one")); err != nil {
			return err
		}
		for _, begin := range []byte{0x20, fieldPOST} { // the first block says that the table is empty
			forgetful := hpack.NewDecoder(4096, nil)
			p.fr.ReadMetaHeaders = nil
			for block := []byte(nil); block == nil; {
				f, err := p.fr.ReadFrame()
				if err != nil {
					return err
				}
				if f, ok := f.(*http2.HeadersFrame); ok {
					block = f.HeaderBlockFragment()
					if fields, err := forgetful.DecodeFull(block); err != nil || len(fields) != 6 || block[0] != begin {
						t.Errorf("the block % x is %v, %v", block, fields, err)
					}
				}
			}
			if stream, _, err = p.request(); err != nil { // the rest of it
				return err
			}
			if err := p.answer(stream, "re: more"); err != nil {
				return err
			}
		}
		return well(p)
	})
	answered(t, c, "one")
	answered(t, c, "more")
	answered(t, c, "more")
}
