package xdspool

import (
	"context"
	"errors"
	"io"
	"log/slog"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// client is one proxy from its pod's start to its end. All but pool, proxy, class and cancel is guarded by pool.mu.
type client struct {
	pool   *Pool
	proxy  runtime.Proxy // with the IP it has
	class  int
	cancel context.CancelFunc

	slot   int
	wanted bool
	closed bool // plscript took it away
	open   bool // a response has come on the current stream
	synced bool
	types  [numTypes]subscription
}

// run keeps c connected until ctx ends.
func (c *client) run(ctx context.Context) {
	wait := newBackoff(c.proxy.Class)
	for {
		address, pace := c.pool.nextAddress()
		if pace.wait(ctx) != nil {
			return
		}
		err := c.connect(ctx, address, func() {
			wait.reset()
			pace.admitted()
		})
		if ctx.Err() != nil {
			return
		}
		refused := status.Code(err) == codes.ResourceExhausted
		if refused {
			pace.refused()
		}
		c.pool.ended(c, refused)
		c.pool.notify()
		c.pool.logEnd(ctx, c, address, err)
		if c.pool.cfg.Clock.Sleep(ctx, wait.after(err, c.pool.random())) != nil {
			return
		}
	}
}

// connect holds one stream until it ends, and returns why. It calls opened at the first response.
func (c *client) connect(ctx context.Context, address string, opened func()) error {
	node, err := c.pool.cfg.node(c.proxy)
	if err != nil {
		return err
	}
	s, closeConn, err := openStream(ctx, address)
	if err != nil {
		return err
	}
	defer closeConn()
	first := c.pool.begin(c)
	if len(first) > 0 {
		first[0].Node = node // once a stream, as Istio's bootstrap has it (set_node_on_first_message_only)
	}
	if err := send(s, first); err != nil {
		return streamError(s, err)
	}
	var f frame
	defer f.free()
	for n := 0; ; n++ {
		if err := s.RecvMsg(&f); err != nil {
			return err
		}
		if n == 0 {
			opened()
		}
		if err := c.handle(ctx, s, &f); err != nil {
			return streamError(s, err)
		}
	}
}

// handle applies one response and answers it.
func (c *client) handle(ctx context.Context, s stream, f *frame) error {
	r := c.pool.scratch.Get().(*response)
	defer c.pool.recycle(r)
	scanErr := r.scan(f.bytes())
	out, ok := c.pool.receive(c, r, scanErr)
	f.free()
	if !ok {
		return scanErr // without a type or a nonce there is nothing to refuse it by
	}
	if out.refused != nil {
		c.pool.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "refused a response", slog.String("proxy", c.proxy.Key()),
			slog.String("type", out.typ.String()), slog.Any("error", out.refused))
	}
	if err := send(s, out.requests); err != nil {
		return err
	}
	next := c.pool.replied(c, &out)
	c.pool.notify()
	return send(s, next)
}

func send(s stream, requests []*discovery.DeltaDiscoveryRequest) error {
	for _, r := range requests {
		if err := s.SendMsg(r); err != nil {
			return err
		}
	}
	return nil
}

// streamError returns why a stream has ended on which sending failed: gRPC tells only the receiver.
func streamError(s stream, err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	var f frame
	defer f.free()
	for {
		if err := s.RecvMsg(&f); err != nil {
			return err
		}
	}
}
