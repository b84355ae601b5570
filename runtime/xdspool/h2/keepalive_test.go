package h2

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// looks has k look n times; its own timer is an hour's.
func looks(k *Keepalive, n int) {
	for range n {
		k.look()
	}
}

// TestKeepalive: of two connections, one whose server says nothing is sent one PING, and is given up when it does not
// answer; the other, to which something comes now and then, is left alone.
func TestKeepalive(t *testing.T) {
	t.Parallel()
	k := NewKeepalive(6*time.Hour, 2*time.Hour) // which are 15 looks and 5
	silent, talking := newSlow(t, Config{Keepalive: k}), newSlow(t, Config{Keepalive: k})
	received := make(chan []byte, 2)
	for _, s := range []*slow{silent, talking} {
		go func() {
			all, _ := io.ReadAll(s) // until the client closes it
			received <- all
		}()
	}
	for i := range 20 {
		if i%10 == 9 {
			talking.send(t, framed([]byte("still here")))
			talking.sink.next(t)
		}
		k.look()
	}
	select {
	case err := <-silent.done:
		t.Fatalf("a look early: %v", err)
	default:
	}
	k.look() // the first of all is when it began
	if err := <-silent.done; status.Code(err) != codes.Unavailable {
		t.Errorf("the silent connection ended with %v", err)
	}
	ping := grpcwire.AppendPing(nil, [8]byte{}, false)
	if n := bytes.Count(<-received, ping); n != 1 {
		t.Errorf("%d PINGs to the silent server", n)
	}
	if n := talking.client.Streams(); n != 1 {
		t.Errorf("the other connection has %d streams", n)
	}
	talking.client.Close()
	if n := bytes.Count(<-received, ping); n != 0 {
		t.Errorf("%d PINGs to the server that talks", n)
	}
	k.mu.Lock() // Serve ends by itself, and removes once more
	defer k.mu.Unlock()
	if k.timer != nil || len(k.conns) != 0 {
		t.Error("it goes on to look when there is nothing left to look at")
	}
}

// TestKeepaliveAnswered: who answers stays, and is asked again after the next silence.
func TestKeepaliveAnswered(t *testing.T) {
	t.Parallel()
	k := NewKeepalive(5*time.Hour, 5*time.Hour)
	s := newSlow(t, Config{Keepalive: k})
	looks(k, 1)
	for range 3 {
		looks(k, 5)
		s.nextPing(t)
		looks(k, 4)
		s.send(t, grpcwire.AppendPing(nil, [8]byte{}, true))
		s.send(t, framed([]byte("and more")))
		s.sink.next(t)
		looks(k, 1)
	}
	s.client.Close()
	<-s.done
}

// TestKeepaliveLooksByItself has the times of a keepalive run out.
func TestKeepaliveLooksByItself(t *testing.T) {
	t.Parallel()
	s := newSlow(t, Config{Keepalive: NewKeepalive(time.Millisecond, time.Millisecond)})
	if err := <-s.done; status.Code(err) != codes.Unavailable {
		t.Errorf("the connection ended with %v", err)
	}
	s = newSlow(t, Config{}) // which has none
	s.client.Close()
	if err := <-s.done; err != ErrClosed {
		t.Errorf("the connection ended with %v", err)
	}
}
