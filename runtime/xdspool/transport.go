package xdspool

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool/h2"
)

// The agent's connection (Istio pilot/pkg/grpc ClientOptions, pkg/keepalive DefaultOption). A window is a promise, not
// memory: nothing is allocated until data arrives.
const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
	windowSize       = 1 << 20
	dialTimeout      = 5 * time.Second
)

// The methods of the two protocols.
const (
	deltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	stateMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
)

// Credentials are what one stream shows istiod.
type Credentials struct {
	Header []h2.Header
	TLS    *tls.Config // of the connection; nil means plaintext
}

// Authenticator finds the credentials of proxies, before each connect. It is called by many proxies at once.
type Authenticator interface {
	Credentials(ctx context.Context, p runtime.Proxy) (Credentials, error)
}

// credentials are those of one proxy; without an authenticator there are none.
func (p *Pool) credentials(ctx context.Context, proxy runtime.Proxy) (Credentials, error) {
	if p.cfg.Auth == nil {
		return Credentials{}, nil
	}
	return p.cfg.Auth.Credentials(ctx, proxy)
}

// transport opens streams, each on a connection of its own or several on one.
type transport struct {
	perConnection int // 0 and 1 mean a connection of its own
	keepalive     *h2.Keepalive

	mu     sync.Mutex
	shared map[shareKey][]*sharedConn
}

// shareKey is what streams have to agree on to share a connection: who is at the other end, and as whom we came.
type shareKey struct {
	address string
	tls     *tls.Config
}

// sharedConn is a connection that takes more streams while it has room.
type sharedConn struct {
	ready chan struct{} // closed when conn or err is there
	conn  *h2.Conn
	err   error
	used  int
	dead  bool
}

func (t *transport) config(creds Credentials) h2.Config {
	return h2.Config{
		TLS: creds.TLS, DialTimeout: dialTimeout, Window: windowSize, Keepalive: t.keepalive,
		UserAgent: "grpc-go/1.85.0", // the agent is one
	}
}

// hold opens a stream of s to address, calls begin with it, and returns why it has ended.
func (t *transport) hold(ctx context.Context, address string, creds Credentials, s *call, begin func(*h2.Stream) error) error {
	if t.perConnection > 1 {
		return t.holdShared(ctx, address, creds, s, begin)
	}
	conn, err := h2.Dial(ctx, address, t.config(creds))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s.conn = conn // the stream's end is the connection's
	if err := t.open(conn, address, creds, s, begin); err != nil {
		return err
	}
	err = conn.Serve()
	select {
	case first := <-s.ended:
		return first
	default:
		return err
	}
}

func (t *transport) open(conn *h2.Conn, address string, creds Credentials, s *call, begin func(*h2.Stream) error) error {
	method := deltaMethod
	if s.state {
		method = stateMethod
	}
	stream, err := conn.Open(address, method, creds.Header, s)
	if err != nil {
		return err
	}
	if err := begin(stream); err != nil {
		stream.Close()
		return err
	}
	return nil
}

// holdShared is hold on a connection with others.
func (t *transport) holdShared(ctx context.Context, address string, creds Credentials, s *call, begin func(*h2.Stream) error) error {
	key := shareKey{address, creds.TLS}
	shared, err := t.take(ctx, key, creds)
	if err != nil {
		return err
	}
	defer t.give(key, shared)
	if err := t.open(shared.conn, address, creds, s, begin); err != nil {
		return err
	}
	defer func() { s.stream.Close() }()
	select {
	case err := <-s.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take finds a connection with room, or makes one.
func (t *transport) take(ctx context.Context, key shareKey, creds Credentials) (*sharedConn, error) {
	c, made := t.place(key)
	if made {
		c.conn, c.err = h2.Dial(ctx, key.address, t.config(creds))
		close(c.ready)
		if c.err == nil {
			go t.serve(c)
		}
	}
	select {
	case <-c.ready:
	case <-ctx.Done():
		t.give(key, c)
		return nil, ctx.Err()
	}
	if c.err != nil {
		t.give(key, c)
		return nil, c.err
	}
	return c, nil
}

// place finds a connection with room, or adds one for the caller to make.
func (t *transport) place(key shareKey) (c *sharedConn, made bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.shared[key] {
		if c.used < t.perConnection && !c.dead {
			c.used++
			return c, false
		}
	}
	c = &sharedConn{ready: make(chan struct{}), used: 1}
	if t.shared == nil {
		t.shared = map[shareKey][]*sharedConn{}
	}
	t.shared[key] = append(t.shared[key], c)
	return c, true
}

func (t *transport) serve(c *sharedConn) {
	_ = c.conn.Serve() // each stream is told
	t.mu.Lock()
	c.dead = true
	t.mu.Unlock()
}

// give gives a stream's place back, and closes the connection with the last one.
func (t *transport) give(key shareKey, c *sharedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.err != nil {
		c.dead = true
	}
	if c.used--; c.used > 0 {
		return
	}
	if c.conn != nil {
		c.conn.Close()
	}
	list := t.shared[key]
	for i := range list {
		if list[i] == c {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if t.shared[key] = list; len(list) == 0 {
		delete(t.shared, key)
	}
}
