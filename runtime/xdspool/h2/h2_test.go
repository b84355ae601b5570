package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	goruntime "runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// patient is how long a test waits for what has to happen.
const patient = 20 * time.Second

// echo is a service that returns what it gets; a message "fail" ends the call with a status, and "ok" without one.
type echo struct {
	mu   sync.Mutex
	seen metadata.MD
}

func (e *echo) serve(_ any, stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	e.mu.Lock()
	e.seen = md
	e.mu.Unlock()
	for {
		var m wrapperspb.BytesValue
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
		switch string(m.Value) {
		case "fail":
			return status.Error(codes.ResourceExhausted, "request rate limit: 100% \u00fc\n")
		case "ok":
			return nil
		}
		if err := stream.SendMsg(&m); err != nil {
			return err
		}
	}
}

const method = "/echo.Echo/Echo"

func startServer(t testing.TB, opts ...grpc.ServerOption) (string, *echo, *grpc.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{}
	g := grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(1<<30))...)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "echo.Echo", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Echo", Handler: e.serve, ServerStreams: true, ClientStreams: true}},
	}, e)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return l.Addr().String(), e, g
}

// sink collects what happens on a stream.
type sink struct {
	messages chan []byte
	closed   chan error
}

func newSink() *sink { return &sink{make(chan []byte, 1000), make(chan error, 1)} }

func (s *sink) Message(b []byte) { s.messages <- bytes.Clone(b) }
func (s *sink) Closed(err error) { s.closed <- err }

func (s *sink) next(t testing.TB) []byte {
	t.Helper()
	select {
	case m := <-s.messages:
		return m
	case err := <-s.closed:
		t.Fatalf("closed: %v", err)
	case <-time.After(patient):
		t.Fatal("no message")
	}
	return nil
}

func (s *sink) end(t testing.TB) error {
	t.Helper()
	select {
	case err := <-s.closed:
		return err
	case <-time.After(patient):
		t.Fatal("the stream did not end")
		return nil
	}
}

func dial(t testing.TB, address string, cfg Config) (*Conn, <-chan error) {
	t.Helper()
	c, err := Dial(t.Context(), address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Serve() }()
	t.Cleanup(func() { c.Close() })
	return c, done
}

func open(t testing.TB, c *Conn, extra ...Header) (*Stream, *sink) {
	t.Helper()
	h := newSink()
	s, err := c.Open("server", method, extra, h)
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}

// pack is b as a BytesValue.
func pack(b []byte) []byte {
	out := []byte{0x0a}
	n := len(b)
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(append(out, byte(n)), b...)
}

func random(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

// TestMessagesOfAllSizes goes through both windows many times over, in both directions.
func TestMessagesOfAllSizes(t *testing.T) {
	t.Parallel()
	address, _, _ := startServer(t)
	for _, window := range []int{0, 1 << 16} {
		c, _ := dial(t, address, Config{Window: window})
		s, h := open(t, c)
		for i, n := range []int{1, 10, 200, 16384 - 8, 16384, 65535, 65536, 300_000, 5_000_000, 3} {
			want := pack(random(uint64(i), n))
			if err := s.Send(want); err != nil {
				t.Fatal(err)
			}
			if got := h.next(t); !bytes.Equal(got, want) {
				t.Fatalf("a message of %d bytes came back as %d", len(want), len(got))
			}
		}
	}
}

// TestManyMessagesAtOnce has frames that hold several messages, and messages across frames.
func TestManyMessagesAtOnce(t *testing.T) {
	t.Parallel()
	address, _, _ := startServer(t)
	c, _ := dial(t, address, Config{})
	s, h := open(t, c)
	var want [][]byte
	for i := range 500 {
		m := pack(random(uint64(i), 1+i*7%2000))
		want = append(want, m)
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	for i, w := range want {
		if got := h.next(t); !bytes.Equal(got, w) {
			t.Fatalf("message %d differs", i)
		}
	}
}

func TestStreamsShareAConnection(t *testing.T) {
	t.Parallel()
	address, _, _ := startServer(t)
	c, _ := dial(t, address, Config{})
	var wg sync.WaitGroup
	for i := range 50 {
		s, h := open(t, c)
		wg.Go(func() {
			for j := range 20 {
				m := pack(fmt.Appendf(nil, "%d %d", i, j))
				if err := s.Send(m); err != nil {
					t.Error(err)
				}
				if got := h.next(t); !bytes.Equal(got, m) {
					t.Errorf("stream %d got %q", i, got)
				}
			}
		})
	}
	wg.Wait()
	if n := c.Streams(); n != 50 {
		t.Errorf("%d streams", n)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	address, e, g := startServer(t)
	c, done := dial(t, address, Config{UserAgent: "test"})

	s, h := open(t, c, Header{"authorization", "Bearer x"}, Header{"long", string(bytes.Repeat([]byte("y"), 5000))})
	s.Send(pack([]byte("fail")))
	err := h.end(t)
	if st := status.Convert(err); st.Code() != codes.ResourceExhausted || st.Message() != "request rate limit: 100% \u00fc\n" {
		t.Errorf("the call ended with %v", err)
	}
	e.mu.Lock()
	if e.seen.Get("authorization")[0] != "Bearer x" || len(e.seen.Get("long")[0]) != 5000 || e.seen.Get("user-agent")[0] != "test" {
		t.Errorf("metadata %v", e.seen)
	}
	e.mu.Unlock()
	if err := s.Send(nil); !errors.Is(err, ErrStreamClosed) {
		t.Errorf("sending on an ended stream: %v", err)
	}

	s, h = open(t, c)
	s.Send(pack([]byte("ok")))
	if err := h.end(t); !errors.Is(err, io.EOF) {
		t.Errorf("the call ended with %v", err)
	}
	h2 := newSink()
	if _, err = c.Open("server", "/echo.Echo/No", nil, h2); err != nil {
		t.Fatal(err)
	}
	if err := h2.end(t); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method ended with %v", err)
	}

	s, h = open(t, c)
	s.Close()
	if err := s.Send(nil); !errors.Is(err, ErrStreamClosed) {
		t.Errorf("sending on a closed stream: %v", err)
	}
	s, h3 := open(t, c) // the connection is still good
	s.Send(pack([]byte("x")))
	h3.next(t)
	g.Stop()
	if err := h3.end(t); status.Code(err) != codes.Unavailable {
		t.Errorf("a stopped server ended the stream with %v", err)
	}
	if err := <-done; status.Code(err) != codes.Unavailable {
		t.Errorf("a stopped server ended the connection with %v", err)
	}
	if _, err := c.Open("server", method, nil, newSink()); err == nil {
		t.Error("a stream was opened on a broken connection")
	}
	select {
	case err := <-h.closed:
		t.Errorf("the handler of a closed stream was told %v", err)
	default:
	}
}

func TestGracefulStopLetsStreamsGoOn(t *testing.T) {
	t.Parallel()
	address, _, g := startServer(t)
	c, done := dial(t, address, Config{})
	s, h := open(t, c)
	s.Send(pack([]byte("x")))
	h.next(t)
	stopped := make(chan struct{})
	go func() { g.GracefulStop(); close(stopped) }()
	for {
		probe, err := c.Open("server", method, nil, newSink())
		if err != nil {
			break
		}
		probe.Close()
		s.Send(pack([]byte("y"))) // goes on
		h.next(t)
	}
	s.Send(pack([]byte("ok")))
	if err := h.end(t); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	<-stopped
	<-done
}

func TestCloseEndsServe(t *testing.T) {
	t.Parallel()
	address, _, _ := startServer(t)
	c, done := dial(t, address, Config{})
	_, h := open(t, c)
	c.Close()
	c.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if err := h.end(t); !errors.Is(err, ErrClosed) {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	tlsServer := httptest.NewTLSServer(nil) // for its certificate
	defer tlsServer.Close()
	address, _, _ := startServer(t, grpc.Creds(credentials.NewServerTLSFromCert(&tlsServer.TLS.Certificates[0])))
	cfg := &tls.Config{RootCAs: certificates(tlsServer), ServerName: "example.com"}
	c, _ := dial(t, address, Config{TLS: cfg})
	s, h := open(t, c)
	want := pack(random(1, 300_000))
	s.Send(want)
	if !bytes.Equal(h.next(t), want) {
		t.Error("not the same over TLS")
	}
	if _, err := Dial(t.Context(), address, Config{TLS: &tls.Config{ServerName: "other", RootCAs: cfg.RootCAs}}); status.Code(err) != codes.Unavailable {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err := Dial(t.Context(), address, Config{TLS: &tls.Config{ServerName: "example.com"}}); err == nil {
		t.Error("an unknown root was accepted")
	}
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // one that was free a moment ago may be somebody's by now
	if _, err := Dial(t.Context(), nobody, Config{}); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, nobody, Config{}); err == nil {
		t.Error("dialled under a context that is done")
	}
}

// pipe is a connection to nobody, for what a reader makes of given bytes.
func pipe(limit int) *Conn {
	ours, theirs := net.Pipe()
	go io.Copy(io.Discard, theirs)
	c := newConn(ours, Config{Window: 1 << 20, MaxMessage: limit})
	c.nextID = 3
	return c
}

type counter struct{ messages, bytes, closed int }

func (h *counter) Message(b []byte) { h.messages++; h.bytes += len(b) }
func (h *counter) Closed(error)     { h.closed++ }

func FuzzReader(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(grpcwire.AppendFrame(nil, 0, grpcwire.FrameSettings, 0, 0), uint8(3))
	f.Add(slices.Concat(grpcwire.AppendFrame(nil, 5, grpcwire.FrameData, 0, 1), []byte{0, 0x7f, 0xff, 0xff, 0xff}), uint8(2))
	f.Add(slices.Concat(grpcwire.AppendFrame(nil, 8, grpcwire.FrameData, grpcwire.FlagPadded, 1), []byte{2, 0, 0, 0, 0, 0, 0, 0}), uint8(2))
	f.Add(slices.Concat(grpcwire.AppendFrame(nil, 1, grpcwire.FrameHeaders, grpcwire.FlagEndHeaders|grpcwire.FlagEndStream, 1), []byte{0x88}), uint8(9))
	f.Add(slices.Concat(grpcwire.AppendFrame(nil, 8, grpcwire.FrameGoAway, 0, 0), make([]byte, 8)), uint8(9))
	f.Add(slices.Concat(grpcwire.AppendFrame(nil, 4, grpcwire.FrameReset, 0, 1), make([]byte, 4)), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		c := pipe(1 << 20)
		defer c.nc.Close()
		h := &counter{}
		c.streams = []*Stream{{conn: c, id: 1, handler: h, sendWindow: grpcwire.DefaultWindow}}
		for rest := b; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			if c.read.feed(c, rest[:n]) != nil {
				break
			}
			rest = rest[n:]
		}
		if h.bytes > len(b) || h.closed > 1 {
			t.Errorf("%d bytes of messages and %d ends out of %d bytes", h.bytes, h.closed, len(b))
		}
	})
}

// TestAHugeLengthAllocatesLittle: a length prefix is a claim, not a reason to allocate.
func TestAHugeLengthAllocatesLittle(t *testing.T) {
	// Not in parallel, and after two collections: a large buffer that another test gave back must not be taken for ours.
	goruntime.GC()
	goruntime.GC()
	var a assembly
	if _, _, err := a.add([]byte{0, 0x3f, 0xff, 0xff, 0xff, 1}, 1<<30); err != nil {
		t.Fatal(err)
	}
	if n := cap(*a.buf); n > firstBuffer {
		t.Errorf("%d bytes were allocated", n)
	}
	if _, _, err := (&assembly{}).add([]byte{0, 0x7f, 0xff, 0xff, 0xff}, 1<<30); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("2 GiB: %v", err)
	}
	if _, _, err := (&assembly{}).add([]byte{1, 0, 0, 0, 0}, 1<<30); err == nil {
		t.Error("a compressed message was accepted")
	}
}

func certificates(s *httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Certificate())
	return p
}
