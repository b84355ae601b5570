// Package h2 is the client's side of gRPC for a great many streams that are idle most of the time.
//
// A grpc-go connection costs half a dozen goroutines and their stacks, which for ten thousand proxies, each on a
// connection of its own as in life, would be most of a process. Here a connection is one goroutine, that of [Conn.Serve],
// and no buffer to speak of while nothing arrives; a message is handed over in the bytes it was received in. What gRPC
// over HTTP/2 asks of a client is done (flow control, settings, pings, GOAWAY, trailers); what bidirectional streams of
// small requests do not need (compression, retries, server push, padding of what is sent) is left out.
package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// Config is how connections are made. The zero value is plaintext without keepalive.
type Config struct {
	// TLS is used as it is, with "h2" as the protocol to agree on; nil means plaintext.
	TLS *tls.Config
	// DialTimeout bounds TCP and TLS together; 0 means 5 s.
	DialTimeout time.Duration
	// Window is the flow-control window of each stream and of the connection, in bytes; 0 means 1 MiB.
	Window int
	// Keepalive looks after the connection, and may look after others too; nil means that nobody does.
	Keepalive *Keepalive
	// MaxMessage is the largest message accepted, in bytes; 0 means 1 GiB.
	MaxMessage int
	UserAgent  string
}

func (c Config) withDefaults() Config {
	if c.DialTimeout == 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.Window == 0 {
		c.Window = 1 << 20
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = 1 << 30
	}
	if c.UserAgent == "" {
		c.UserAgent = "plscript"
	}
	return c
}

// Conn is one HTTP/2 connection. Its methods may be called from anywhere.
type Conn struct {
	cfg   Config
	nc    net.Conn
	in    source // of nc
	read  reader
	heard atomic.Uint32 // counts reads, for the keepalive
	acked int           // bytes received and not yet given back to the peer's connection window; of the reader only

	mu         sync.Mutex
	streams    []*Stream // open ones, few
	nextID     uint32
	sendWindow int64
	peer       grpcwire.Peer
	out        []byte // frames that are to be written
	held       bool   // they wait for the end of what was read
	broken     error  // why nothing can be sent any more
	goingAway  bool
}

// ErrClosed is the end of a connection that [Conn.Close] has closed.
var ErrClosed = errors.New("h2: the connection was closed")

// Dial connects to address, host:port, and sends the connection preface. The connection lives until [Conn.Close], or
// until the peer ends it; ctx bounds the dialling only. Nothing is received before [Conn.Serve].
func Dial(ctx context.Context, address string, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1} // HTTP/2 has its own
	nc, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "connecting: %v", err)
	}
	nc = newSocket(nc)
	if cfg.TLS != nil {
		if nc, err = handshake(ctx, nc, address, cfg.TLS); err != nil {
			return nil, status.Errorf(codes.Unavailable, "TLS with %s: %v", address, err)
		}
	}
	c := newConn(nc, cfg)
	// The peer is told to keep no table of header fields, which spares both sides a table for each connection.
	if err := c.write(func(b []byte) []byte { return grpcwire.AppendPreface(b, cfg.Window, 0) }); err != nil {
		nc.Close()
		return nil, status.Errorf(codes.Unavailable, "connecting: %v", err)
	}
	if cfg.Keepalive != nil {
		cfg.Keepalive.add(c)
	}
	return c, nil
}

func newConn(nc net.Conn, cfg Config) *Conn {
	c := &Conn{cfg: cfg, nc: nc, nextID: 1, sendWindow: grpcwire.DefaultWindow, peer: grpcwire.NewPeer()}
	if s, ok := nc.(*socket); ok {
		c.in = s
		return c
	}
	c.in = &wrapped{in: nc}
	return c
}

func handshake(ctx context.Context, nc net.Conn, address string, cfg *tls.Config) (net.Conn, error) {
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"h2"}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			nc.Close()
			return nil, err
		}
		cfg.ServerName = host
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	if p := tc.ConnectionState().NegotiatedProtocol; p != "h2" {
		nc.Close()
		return nil, fmt.Errorf("the server chose protocol %q, not h2", p)
	}
	return tc, nil
}

// Close ends the connection and all of its streams. It is safe to call it twice.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	return nil
}

// fail makes err the end of the connection, unless it has ended before.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.broken == nil {
		c.broken = err
	}
	c.mu.Unlock()
	if c.cfg.Keepalive != nil {
		c.cfg.Keepalive.remove(c)
	}
	c.nc.Close()
}

// Serve receives until the connection ends, and returns why: [ErrClosed] or a gRPC status error. All handlers are called
// from it, one after the other; before it returns, each open stream's handler is told of its end.
func (c *Conn) Serve() error {
	err := c.read.loop(c)
	c.fail(status.Errorf(codes.Unavailable, "error reading from server: %v", err))
	c.mu.Lock()
	err = c.broken
	streams := c.streams
	c.streams = nil
	c.mu.Unlock()
	for _, s := range streams {
		s.end(err)
	}
	return err
}

// Streams returns how many streams are open.
func (c *Conn) Streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// write sends the frames that build appends.
func (c *Conn) write(build func([]byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writeLocked(build)
}

// keepOut is the largest buffer for what is sent that an idle connection keeps, and holdOut how much of it may wait.
const (
	keepOut = 512
	holdOut = 64 << 10
)

func (c *Conn) writeLocked(build func([]byte) []byte) error {
	if c.broken != nil {
		return c.broken
	}
	c.out = build(c.out)
	if c.held && len(c.out) < holdOut {
		return nil
	}
	return c.flushLocked()
}

// hold has what is sent wait until release, so that the answers to all that one read has brought go out in one write: a
// write costs more than most answers.
func (c *Conn) hold() {
	c.mu.Lock()
	c.held = true
	c.mu.Unlock()
}

// release writes what was held.
func (c *Conn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	if c.broken != nil {
		return c.broken
	}
	return c.flushLocked()
}

func (c *Conn) flushLocked() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > keepOut {
		c.out = nil
	}
	if err != nil {
		c.broken = status.Errorf(codes.Unavailable, "writing to server: %v", err)
		c.nc.Close() // which ends Serve
		return c.broken
	}
	return nil
}

// stream returns the open stream of an id, or nil.
func (c *Conn) stream(id uint32) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.streams {
		if s.id == id {
			return s
		}
	}
	return nil
}

// forget takes s out of the open streams, and reports whether it was one.
func (c *Conn) forget(s *Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgetLocked(s)
}

func (c *Conn) forgetLocked(s *Stream) bool {
	for i, x := range c.streams {
		if x == s {
			c.streams[i] = c.streams[len(c.streams)-1]
			c.streams = c.streams[:len(c.streams)-1]
			return true
		}
	}
	return false
}
