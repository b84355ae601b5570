package h2

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// slow is a server that writes what the test says, when it says so, to a client that has opened stream 1.
type slow struct {
	net.Conn
	client *Conn
	stream *Stream
	sink   *sink
	done   <-chan error
}

func newSlow(t *testing.T, cfg Config) *slow {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &slow{}
	s.client, s.done = dial(t, l.Addr().String(), cfg)
	if s.Conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Conn.Close() })
	s.SetDeadline(time.Now().Add(patient))
	s.stream, s.sink = open(t, s.client)
	return s
}

func (s *slow) send(t *testing.T, b []byte) {
	t.Helper()
	if _, err := s.Write(b); err != nil {
		t.Fatal(err)
	}
}

// nextPing reads frames until a PING comes.
func (s *slow) nextPing(t *testing.T) {
	t.Helper()
	b := make([]byte, 1)
	var last []byte
	ping := grpcwire.AppendFrame(nil, 8, grpcwire.FramePing, 0, 0)
	for !bytes.HasSuffix(last, ping) {
		if _, err := s.Read(b); err != nil {
			t.Fatalf("instead of a ping: %v", err)
		}
		last = append(last, b...)
	}
	for range 8 {
		if _, err := s.Read(b); err != nil {
			t.Fatal(err)
		}
	}
}

// framed is a message in frames as large as they may be.
func framed(message []byte) []byte {
	var out []byte
	body := append(grpcwire.AppendMessageHeader(nil, len(message)), message...)
	for len(body) > 0 {
		n := min(len(body), grpcwire.DefaultMaxFrame)
		out = append(grpcwire.AppendFrame(out, n, grpcwire.FrameData, 0, 1), body[:n]...)
		body = body[n:]
	}
	return out
}

// TestASlowMessage stops in the middle of a message and goes on byte by byte: it is there with its last byte, and so is a
// short one that follows.
func TestASlowMessage(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Config{})
	for round := range 3 {
		message := random(uint64(round), 50_000)
		b := framed(message)
		s.send(t, b[:20_000])
		s.send(t, b[20_000:len(b)-10])
		for _, x := range b[len(b)-10:] {
			select {
			case <-s.sink.messages:
				t.Fatal("a message came before its last byte")
			default:
			}
			s.send(t, []byte{x})
		}
		if !bytes.Equal(s.sink.next(t), message) {
			t.Fatal("not the same message")
		}
		s.send(t, framed([]byte("short")))
		if got := s.sink.next(t); string(got) != "short" {
			t.Fatalf("got %q", got)
		}
	}
}

// TestALargeMessage is of more than a socket takes at once, of a server that sends it whole and nothing more.
func TestALargeMessage(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Config{Window: 1 << 24})
	message := random(1, 10_000_000)
	s.send(t, framed(message))
	if !bytes.Equal(s.sink.next(t), message) {
		t.Fatal("not the same message")
	}
}

// TestTheEndInAMessage: what came of a message is no message.
func TestTheEndInAMessage(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Config{})
	s.send(t, framed(random(1, 50_000))[:20_000])
	s.Conn.Close()
	s.sink.end(t)
	<-s.done
	if n := len(s.sink.messages); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// TestAPauseInAMessage: a server that answers pings is alive.
func TestAPauseInAMessage(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Config{Keepalive: NewKeepalive(20*time.Millisecond, 2*time.Second)})
	message := random(1, 50_000)
	b := framed(message)
	s.send(t, b[:grpcwire.DefaultMaxFrame+grpcwire.FrameHeaderSize])
	for range 2 { // the second comes because the first is answered
		s.nextPing(t)
		s.send(t, grpcwire.AppendPing(nil, [8]byte{}, true))
	}
	s.send(t, b[grpcwire.DefaultMaxFrame+grpcwire.FrameHeaderSize:])
	if !bytes.Equal(s.sink.next(t), message) {
		t.Fatal("not the same message")
	}
}

// TestAServerThatDoesNotRead has a request wait for room in the socket.
func TestAServerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Config{})
	const window = 1 << 24
	b := binary.BigEndian.AppendUint32(append(grpcwire.AppendFrame(nil, 6, grpcwire.FrameSettings, 0, 0), 0, byte(http2.SettingInitialWindowSize)), window)
	s.send(t, grpcwire.AppendWindow(b, 0, window))
	s.send(t, framed([]byte("the windows are wide")))
	s.sink.next(t)
	want := random(1, 10_000_000) // more than both sockets hold
	sent := make(chan error, 1)
	go func() { sent <- s.stream.Send(want) }()
	var got []byte
	header, body := make([]byte, grpcwire.FrameHeaderSize), make([]byte, grpcwire.DefaultMaxFrame)
	if _, err := io.ReadFull(s, make([]byte, len(grpcwire.Preface))); err != nil {
		t.Fatal(err)
	}
	for len(got) < grpcwire.MessageHeader+len(want) {
		if _, err := io.ReadFull(s, header); err != nil {
			t.Fatal(err)
		}
		h := grpcwire.ParseFrame(header)
		if _, err := io.ReadFull(s, body[:h.Size]); err != nil {
			t.Fatal(err)
		}
		if h.Kind == grpcwire.FrameData {
			got = append(got, body[:h.Size]...)
		}
	}
	if !bytes.Equal(got[grpcwire.MessageHeader:], want) {
		t.Error("not what was sent")
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestMessagesCutAnywhere has messages in frames of any size, some padded, with pings in between, come in pieces: a message is
// there when its last byte is.
func TestMessagesCutAnywhere(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var wire []byte
	var ends []int // of messages, in wire
	for len(wire) < 300_000 {
		body := grpcwire.AppendMessageHeader(nil, r.IntN(40_000))
		body = append(body, make([]byte, binary.BigEndian.Uint32(body[1:]))...)
		for len(body) > 0 {
			n := min(len(body), 1+r.IntN(grpcwire.DefaultMaxFrame-256))
			switch r.IntN(4) {
			case 0:
				pad := r.IntN(256)
				wire = append(grpcwire.AppendFrame(wire, 1+n+pad, grpcwire.FrameData, grpcwire.FlagPadded, 1), byte(pad))
				wire = append(wire, body[:n]...)
				wire = append(wire, make([]byte, pad)...)
			case 1:
				wire = grpcwire.AppendPing(wire, [8]byte{}, true)
				fallthrough
			default:
				wire = append(grpcwire.AppendFrame(wire, n, grpcwire.FrameData, 0, 1), body[:n]...)
			}
			body = body[n:]
		}
		ends = append(ends, len(wire))
	}
	c := pipe(1 << 20)
	defer c.nc.Close()
	h := &counter{}
	c.streams = []*Stream{{conn: c, id: 1, handler: h, sendWindow: grpcwire.DefaultWindow}}
	for at := 0; at < len(wire); {
		n := min(1+r.IntN(3000), len(wire)-at)
		if err := c.read.feed(c, wire[at:at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
		complete := 0
		for complete < len(ends) && ends[complete] <= at {
			complete++
		}
		if h.messages < complete || h.messages > complete+1 { // padding may be to come
			t.Fatalf("at %d: %d messages, want %d", at, h.messages, complete)
		}
	}
}
