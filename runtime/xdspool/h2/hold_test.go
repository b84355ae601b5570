package h2

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// replier answers each message with itself.
type replier struct{ stream *Stream }

func (r *replier) Message(b []byte) {
	// That the connection has ended is Serve's to tell.
	_ = r.stream.Send(b)
}

func (r *replier) Closed(error) {}

// served is a connection that is served, and its other end, where one read takes exactly what one write has brought.
func served(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := newConn(near, Config{}.withDefaults())
	done := make(chan error, 1)
	go func() { done <- c.Serve() }()
	t.Cleanup(func() {
		far.Close() // first: a write that nobody reads would keep the connection from being closed
		c.Close()
		<-done
	})
	if err := far.SetDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	return c, far
}

// frames returns the kinds of the frames that one write of the client's brought.
func frames(t *testing.T, far net.Conn) []byte {
	t.Helper()
	b := make([]byte, 1<<20)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []byte
	for b = b[:n]; len(b) > 0; {
		h := grpcwire.ParseFrame(b)
		kinds = append(kinds, h.Kind)
		b = b[grpcwire.FrameHeaderSize+h.Size:]
	}
	return kinds
}

func TestOneReadIsAnsweredByOneWrite(t *testing.T) {
	t.Parallel()
	c, far := served(t)
	r := &replier{}
	opened := make(chan error, 1)
	go func() {
		var err error
		r.stream, err = c.Open("server", method, nil, r)
		opened <- err
	}()
	if got := frames(t, far); !bytes.Equal(got, []byte{grpcwire.FrameHeaders}) {
		t.Fatalf("the call began with frames %v", got)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}

	message := func(b []byte, text string) []byte {
		b = grpcwire.AppendFrame(b, grpcwire.MessageHeader+len(text), grpcwire.FrameData, 0, 1)
		return append(grpcwire.AppendMessageHeader(b, len(text)), text...)
	}
	b := grpcwire.AppendPing(nil, [8]byte{1}, false)
	b = message(message(b, "one"), "two")
	b = grpcwire.AppendPing(b, [8]byte{2}, false)
	if _, err := far.Write(b); err != nil {
		t.Fatal(err)
	}
	if got := frames(t, far); !bytes.Equal(got, []byte{grpcwire.FramePing, grpcwire.FrameData, grpcwire.FrameData, grpcwire.FramePing}) {
		t.Errorf("two pings and two messages were answered by frames %v", got)
	}

	go func() { _ = r.stream.Send([]byte("out of turn")) }() // nothing is held for longer than a read is worked on
	if got := frames(t, far); !bytes.Equal(got, []byte{grpcwire.FrameData}) {
		t.Errorf("a request between reads came as frames %v", got)
	}
}

// TestMuchIsNotHeld has the answers to one read outgrow what may wait.
func TestMuchIsNotHeld(t *testing.T) {
	t.Parallel()
	c, far := served(t)
	go func() {
		c.hold()
		for range 3 {
			// That the pipe is closed is for the reads below to tell.
			_ = c.write(func(b []byte) []byte {
				return append(grpcwire.AppendFrame(b, holdOut/2, grpcwire.FrameData, 0, 1), make([]byte, holdOut/2)...)
			})
		}
		_ = c.release()
	}()
	if got := frames(t, far); len(got) != 2 {
		t.Errorf("the first write had %d frames, want 2", len(got))
	}
	if got := frames(t, far); len(got) != 1 {
		t.Errorf("the second write had %d frames, want 1", len(got))
	}
}
