// Package rpc makes unary gRPC calls, many at a time, over one HTTP/2 connection to a server on this machine.
//
// A bulk load is some ten thousand calls of a kilobyte and an answer of thirty bytes. In grpc-go each of them is a stream
// with goroutines' worth of machinery: a context, a buffer for each direction, an attempt that could be repeated, two
// hand-overs to the goroutines that write and read. Here a call is a pooled record: its frames go into the buffer that the
// connection's writer sends next, together with those of every other caller that came meanwhile, and the reader puts the
// answer where the caller wants it. What gRPC over HTTP/2 asks of a client is done (flow control both ways, SETTINGS, PING,
// GOAWAY, RST_STREAM, trailers, header tables); compression, metadata, streams and TLS are not.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	dialTimeout = 5 * time.Second
	// A server that refuses connections, or ends them before it has answered a call, is tried again after firstPause, which
	// doubles up to maxPause.
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// ErrClosed is the end of a call whose client was closed.
var ErrClosed = errors.New("rpc: the client is closed")

// errNotTaken ends a call on a connection that it is certain not to have been carried out on: another may carry it out.
var errNotTaken = errors.New("rpc: the connection takes no more calls")

// Client makes calls to one server. It is safe for concurrent use.
type Client struct {
	socket string
	end    chan struct{} // closed by Close
	wg     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	conn     *conn          // nil: calls wait for one
	live     map[*conn]bool // conn, and those before it on which calls are under way
	dialling chan struct{}  // closed when the attempt to connect under way has ended; nil: none is
	failures int            // attempts and connections, since a call was answered, that came to nothing
	problem  error          // what the last attempt met
}

// New returns a client for the server that listens on a Unix socket, in plaintext. It connects with the first call.
func New(socket string) *Client {
	return &Client{socket: socket, end: make(chan struct{}), live: map[*conn]bool{}}
}

// Close ends the client. Calls under way fail with [ErrClosed].
func (c *Client) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.end)
	}
	for cn := range c.live {
		cn.fail(ErrClosed)
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// Call sends the encoded message request to a method, such as "/package.Service/Method", and returns the encoded answer,
// appended to the buffer answer. It keeps neither. While there is no connection it waits for one.
//
// An error is the context's, [ErrClosed], or a gRPC status. It may be that the server has carried out the call all the same:
// a lost connection is the status Unavailable, as it is in grpc-go.
func (c *Client) Call(ctx context.Context, method string, request, answer []byte) ([]byte, error) {
	for {
		cn, err := c.connection(ctx)
		if err != nil {
			return answer, err
		}
		out, err := cn.call(ctx, method, request, answer)
		if err == nil || !errors.Is(err, errNotTaken) {
			return out, err
		}
		c.lost(cn)
	}
}

// connection returns the connection, and has one made if there is none.
func (c *Client) connection(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		if c.closed || c.conn != nil {
			cn, closed := c.conn, c.closed
			c.mu.Unlock()
			if closed {
				return nil, ErrClosed
			}
			return cn, nil
		}
		if c.dialling == nil {
			c.dialling = make(chan struct{})
			c.wg.Go(c.dial)
		}
		dialled := c.dialling
		c.mu.Unlock()
		select {
		case <-dialled:
		case <-ctx.Done():
			return nil, c.unreached(ctx)
		}
	}
}

// unreached is the end of a call whose context ended before there was a connection.
func (c *Client) unreached(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w while there was no connection: %w", ctx.Err(), c.problem)
}

// dial makes one attempt to connect, after a pause if the last came to nothing.
func (c *Client) dial() {
	c.pause()
	nc, err := net.DialTimeout("unix", c.socket, dialTimeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.dialling)
	c.dialling = nil
	if c.problem = err; err != nil {
		c.failures++
		return
	}
	cn := newConn(nc)
	if c.closed {
		cn.fail(ErrClosed)
		return
	}
	c.conn, c.live[cn] = cn, true
	c.wg.Go(cn.writeLoop)
	c.wg.Go(func() {
		cn.readLoop(c.lost)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.live, cn)
	})
}

// pause waits before an attempt that follows failures.
func (c *Client) pause() {
	c.mu.Lock()
	failures := c.failures
	c.mu.Unlock()
	if failures == 0 {
		return
	}
	timer := time.NewTimer(min(maxPause, firstPause<<min(failures-1, 10)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.end:
	}
}

// lost has the next call made on another connection.
func (c *Client) lost(cn *conn) {
	served := cn.served()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != cn {
		return
	}
	c.conn = nil
	if c.failures++; served {
		c.failures = 0
	}
}

// unavailable is an end of which nobody knows whether the server carried out what was asked.
func unavailable(format string, args ...any) error {
	return status.Errorf(codes.Unavailable, format, args...)
}
