package rpc

import (
	"context"
	"net"
	goruntime "runtime"
	"sync"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

const (
	// keepOut is the largest buffer for what is sent that is kept for the next time.
	keepOut = 256 << 10
	// window is how many bytes of answers may be under way, on a stream and on all of them together. The reader takes in
	// what comes at once, so that more would only be in the kernel.
	window = 1 << 20
)

// conn is one connection. A goroutine reads from it and another writes to it, so that no caller is held up by a server
// that takes nothing, and answering the server never waits for it.
type conn struct {
	nc   net.Conn
	wake chan struct{} // holds a token when there may be something to write
	gone chan struct{} // closed when nothing will be read any more

	mu      sync.Mutex
	open    map[uint32]*call // calls that have a stream
	waiting []*call          // calls of which something is unsent, in their order
	nextID  uint32
	window  int64 // bytes that may be sent on all streams
	peer    grpcwire.Peer
	known   bool // peer is what the server has said
	table   table
	out     []byte // frames that are to be written
	spare   []byte // an empty buffer, which the writer is done with
	leaving bool   // the server takes no new streams
	broken  error  // why the connection has ended
	answers bool   // there has been one
}

func newConn(nc net.Conn) *conn {
	return &conn{
		nc: nc, wake: make(chan struct{}, 1), gone: make(chan struct{}),
		open: map[uint32]*call{}, nextID: 1, window: grpcwire.DefaultWindow,
		peer:  grpcwire.NewPeer(),
		table: table{limit: grpcwire.DefaultTable},
		out:   grpcwire.AppendPreface(nil, window, grpcwire.DefaultTable),
	}
}

// call is one call. All but done is guarded by conn.mu until the call has ended.
type call struct {
	method  string
	request []byte
	answer  []byte
	err     error
	done    chan struct{} // receives a token at the end, unless the caller leaves before

	id     uint32 // of its stream; 0: it has none yet
	window int64  // bytes that may be sent on the stream
	sent   int    // of the request and the header before it
	over   bool

	header   [grpcwire.MessageHeader]byte // of the answer
	nheader  int
	left     int // bytes of the answer that are to come
	consumed int // bytes received and not yet given back to the stream's window
}

// calls are done with, and nobody knows them any more.
var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

// call makes a call, or returns errNotTaken.
func (c *conn) call(ctx context.Context, method string, request, answer []byte) ([]byte, error) {
	x := calls.Get().(*call)
	*x = call{method: method, request: request, answer: answer, done: x.done}
	if c.begin(x) {
		c.await(ctx, x)
	} else {
		x.err = errNotTaken
	}
	answer, err := x.answer, x.err
	*x = call{done: x.done}
	calls.Put(x)
	return answer, err
}

// begin takes in a call, and reports whether there is a use in that.
func (c *conn) begin(x *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done() {
		return false
	}
	c.waiting = append(c.waiting, x)
	c.send()
	return true
}

// await waits for the end of a call, or leaves it when its context ends before.
func (c *conn) await(ctx context.Context, x *call) {
	select {
	case <-x.done:
		return
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.over {
		<-x.done // the reader is about to say so
		return
	}
	c.drop(x)
	x.err = ctx.Err()
	c.send()
}

// remove takes a call out of the connection.
func (c *conn) remove(x *call) {
	x.over = true
	delete(c.open, x.id)
	for i, w := range c.waiting {
		if w == x {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return
		}
	}
}

// drop removes a call that the server has not ended, and tells it so.
func (c *conn) drop(x *call) {
	c.remove(x)
	if x.id != 0 {
		c.out = grpcwire.AppendReset(c.out, x.id, grpcwire.ErrorCancel)
	}
}

// send appends what the server's windows allow of the calls that wait, and wakes the writer.
func (c *conn) send() {
	kept := c.waiting[:0]
	for _, x := range c.waiting {
		if !c.appendCall(x) {
			kept = append(kept, x)
		}
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
	if len(c.out) > 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// appendCall appends what the windows allow of x, and reports whether that is the rest of it.
func (c *conn) appendCall(x *call) bool {
	if x.id == 0 && !c.openStream(x) {
		return false
	}
	size := grpcwire.MessageHeader + len(x.request)
	for x.sent < size {
		n := int(min(int64(size-x.sent), x.window, c.window, int64(c.peer.MaxFrame)))
		if n <= 0 {
			return false
		}
		flags := byte(0)
		if x.sent+n == size {
			flags = grpcwire.FlagEndStream
		}
		c.out = grpcwire.AppendFrame(c.out, n, grpcwire.FrameData, flags, x.id)
		end := x.sent + n
		if x.sent < grpcwire.MessageHeader {
			head := grpcwire.AppendMessageHeader(make([]byte, 0, grpcwire.MessageHeader), len(x.request))
			c.out = append(c.out, head[x.sent:min(end, len(head))]...)
		}
		c.out = append(c.out, x.request[max(0, x.sent-grpcwire.MessageHeader):max(0, end-grpcwire.MessageHeader)]...)
		x.sent = end
		x.window -= int64(n)
		c.window -= int64(n)
	}
	return true
}

// openStream begins a stream for x, if the server takes one more.
func (c *conn) openStream(x *call) bool {
	// A server's SETTINGS come first, and it refuses the streams beyond a limit that is in them.
	if !c.known || uint32(len(c.open)) >= c.peer.MaxStreams {
		return false
	}
	x.id, x.window = c.nextID, c.peer.Window
	c.open[x.id] = x
	if c.nextID += 2; c.nextID > grpcwire.LastStream {
		c.leaving = true
	}
	start := len(c.out)
	c.out = grpcwire.AppendFrame(c.out, 0, grpcwire.FrameHeaders, grpcwire.FlagEndHeaders, x.id)
	c.out = c.table.appendRequest(c.out, x.method)
	grpcwire.SetSize(c.out[start:]) // far below what a frame may hold
	return true
}

// writeLoop writes what is to be sent until the connection ends.
func (c *conn) writeLoop() {
	for {
		// Whoever is ready to run may have more to send: a write costs more than most of what is in it, for both ends.
		goruntime.Gosched()
		for b := c.swap(nil); len(b) > 0; b = c.swap(b) {
			if _, err := c.nc.Write(b); err != nil {
				c.fail(unavailable("writing to the server: %v", err))
				return
			}
		}
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
	}
}

// swap returns what is to be written now, and takes back the buffer that was written before.
func (c *conn) swap(written []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if written != nil && cap(written) <= keepOut {
		c.spare = written[:0]
	}
	if len(c.out) == 0 {
		return nil
	}
	b := c.out
	c.out, c.spare = c.spare, nil
	return b
}

// fail makes err the end of the connection, unless it has ended before. The reader sees to the calls.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.broken == nil {
		c.broken = err
	}
	c.mu.Unlock()
	c.nc.Close()
}

// done reports whether the connection takes no more calls.
func (c *conn) done() bool { return c.broken != nil || c.leaving }

// served reports whether the server has answered a call on this connection.
func (c *conn) served() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers
}
