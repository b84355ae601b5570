package xdspool

import (
	"context"
	"errors"
	"log/slog"
	"sync"

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
	at, err := c.pool.nextAddress(ctx)
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
	s := &call{client: c, at: at, opened: opened, node: node, ended: make(chan error, 1)}
	return c.pool.transport.hold(ctx, at.name, creds, s, func(stream *h2.Stream) error {
		s.stream = stream
		return s.send(c.pool.begin(c, s))
	})
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

	mu   sync.Mutex // of node
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
	if err := s.send(out.requests); err != nil {
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
	var b []byte
	for i := range requests {
		if s.state {
			b = requests[i].appendState(b[:0], s.node)
		} else {
			b = requests[i].appendDelta(b[:0], s.node)
		}
		if !s.pool.cfg.Fidelity.NodeAlways {
			s.node = nil
		}
		if err := s.stream.Send(b); err != nil && !errors.Is(err, h2.ErrStreamClosed) {
			return err
		}
	}
	return nil
}

// Demand has a ztunnel that works on demand ask for names as traffic to them would: "/10.1.2.3" for an address,
// "namespace/host" for a service (ztunnel src/state.rs, fetch_on_demand). Names that were asked for before, and clients that
// are not connected or not on demand, are left out.
func (p *Pool) Demand(key string, names ...string) error {
	p.mu.Lock()
	var s *call
	if m := p.members[key]; m != nil && m.client != nil {
		s = m.client.now
	}
	if s == nil || !s.types[wds].onDemand || !s.types[wds].active {
		p.mu.Unlock()
		return nil
	}
	ask := p.applier.demand(s.client, names)
	var r request
	if len(ask.add) > 0 {
		r = p.resubscribe(s.client, ask)
		p.updateSynced(s.client)
	}
	p.mu.Unlock()
	if len(ask.add) == 0 {
		return nil
	}
	return s.send([]request{r})
}
