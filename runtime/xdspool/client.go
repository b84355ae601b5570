package xdspool

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool/h2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// client is one proxy from its pod's start to its end. All but pool, proxy, class, what it speaks and cancel is guarded
// by pool.mu.
type client struct {
	pool   *Pool
	proxy  runtime.Proxy // with the IP it has
	class  int
	cancel context.CancelFunc

	state       bool // speaks SotW
	discovers   bool // subscribes to workloads
	capturesDNS bool

	slot   int
	wanted bool
	closed bool // plscript took it away
	open   bool // a response has come on the current stream
	before bool // ... and on an earlier one
	synced bool
	now    *call // the current stream, for what is sent out of turn
	types  [numTypes]subscription

	missed  *address             // where the last connect went that came to nothing
	demands map[nameID]time.Time // what a ztunnel has asked for on demand and has no answer to, and since when it is needed
}

// run keeps c connected until ctx ends.
func (c *client) run(ctx context.Context) {
	if c.pool.certifier.admit(ctx, c) != nil {
		return
	}
	wait := newBackoff(c.proxy.Class)
	for {
		name, err := c.attempt(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		c.pool.ended(c, err)
		c.pool.notify()
		c.pool.logEnd(ctx, c, name, err)
		if c.pool.cfg.Clock.Sleep(ctx, wait.after(err, c.pool.random())) != nil {
			return
		}
	}
}

// attempt finds an istiod, waits for its turn there and holds one stream. It returns which istiod it was and why the
// stream ended.
func (c *client) attempt(ctx context.Context, wait *backoff) (name string, err error) {
	at, err := c.pool.nextAddress(ctx, c)
	if err != nil {
		return "", err
	}
	defer c.pool.leaveAddress(at)
	if err := at.pace.wait(ctx); err != nil {
		return at.name, err
	}
	err = c.connect(ctx, at, func() {
		wait.reset()
		at.pace.admitted()
	})
	if status.Code(err) == codes.ResourceExhausted {
		at.pace.refused()
	}
	return at.name, err
}

// connect holds one stream until it ends, and returns why. It calls opened at the first response.
func (c *client) connect(ctx context.Context, at *address, opened func()) error {
	node, err := c.pool.cfg.encodedNode(c.proxy)
	if err != nil {
		return err
	}
	creds, err := c.pool.credentials(ctx, c.proxy)
	if err != nil {
		return err
	}
	var answered atomic.Bool
	s := &call{client: c, at: at, node: node, ended: make(chan error, 1), opened: func() {
		answered.Store(true)
		opened()
	}}
	err = c.pool.transport.hold(ctx, at.name, creds, s, func(stream *h2.Stream) error {
		s.stream = stream
		s.mu.Lock() // a demand waits until the stream has begun
		defer s.mu.Unlock()
		return s.write(c.pool.begin(c, s))
	})
	if !answered.Load() && ctx.Err() == nil {
		c.pool.missed(c, at)
	}
	return err
}

// call is one stream of a client. It implements [h2.Handler].
type call struct {
	*client
	at     *address
	opened func()
	conn   *h2.Conn // if it has one of its own
	stream *h2.Stream
	ended  chan error
	open   bool // a response has come

	mu   sync.Mutex // of node, and held from a stream's begin until its first requests are sent
	node []byte     // what the next request carries; nil once it has been sent, unless every one does
}

// Message implements [h2.Handler].
func (s *call) Message(b []byte) {
	if !s.open {
		s.open = true
		s.opened()
	}
	if err := s.handle(b); err != nil {
		s.stream.Close()
		s.Closed(err)
	}
}

// Closed implements [h2.Handler]. Of two reasons the first counts.
func (s *call) Closed(err error) {
	select {
	case s.ended <- err:
	default:
	}
	if s.conn != nil {
		s.conn.Close()
	}
}

// handle applies one response and answers it.
func (s *call) handle(b []byte) error {
	c, p := s.client, s.pool
	received := p.cfg.Clock.Now()
	r := p.scratch.Get().(*response)
	defer p.recycle(r)
	scanErr := r.scan(b, c.state)
	out, ok := p.receive(c, r, scanErr)
	if !ok {
		return scanErr // without a type or a nonce there is nothing to refuse it by
	}
	if out.refused != nil && !errors.Is(out.refused, errOnRequest) {
		p.cfg.Log.Warn("refused a response", slog.String("proxy", c.proxy.Key()),
			slog.String("type", out.typ.String()), slog.Any("error", out.refused))
	}
	err := s.send(out.requests)
	r.requests = out.requests
	if err != nil {
		return err
	}
	next := p.replied(c, &out, received)
	p.notify()
	return s.send(next)
}

// send sends requests one after the other. A stream that has ended is no error here: its end is told to Closed.
func (s *call) send(requests []request) error {
	if len(requests) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(requests)
}

// keepEncoded is the largest buffer that is kept for the next requests, in bytes. ACKs are short; who reconnects tells
// everything that it holds.
const keepEncoded = 16 << 10

// write is send, for who holds s.mu.
func (s *call) write(requests []request) error {
	buf := s.pool.encoding.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= keepEncoded {
			s.pool.encoding.Put(buf)
		}
	}()
	for i := range requests {
		if s.state {
			*buf = requests[i].appendState((*buf)[:0], s.node)
		} else {
			*buf = requests[i].appendDelta((*buf)[:0], s.node)
		}
		if !s.pool.cfg.Fidelity.NodeAlways {
			s.node = nil
		}
		if err := s.stream.Send(*buf); err != nil && !errors.Is(err, h2.ErrStreamClosed) {
			return err
		}
	}
	return nil
}
