package h2

import (
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// Keepalive looks after many connections at once: one on which nothing has arrived for a time is sent a PING, and is given
// up if nothing comes after that either. All are looked at together, a few times in the shortest of its times, and not each
// when its own is up: to wake a process that has nothing to do costs more than to look at a thousand connections.
type Keepalive struct {
	every         time.Duration // between two looks
	toPing, toEnd int           // looks

	mu    sync.Mutex
	conns map[*Conn]watched
	timer *time.Timer // nil while there are no connections
}

// watched is what is known of a connection that is looked after.
type watched struct {
	heard uint32 // reads, at the last look
	quiet int    // looks since something was heard; -1 before the first
}

// looksPer is how often connections are looked at in the shortest time, which is how exact the times are.
const looksPer = 5

// NewKeepalive has a PING sent when nothing has arrived for idle, up to a fifth of the shorter time later, and gives what
// comes next as long as timeout. Both have to be positive.
func NewKeepalive(idle, timeout time.Duration) *Keepalive {
	every := max(min(idle, timeout)/looksPer, 1)
	looks := func(d time.Duration) int { return int((d + every - 1) / every) }
	return &Keepalive{every: every, toPing: looks(idle), toEnd: looks(idle) + looks(timeout), conns: map[*Conn]watched{}}
}

// add begins to look after c.
func (k *Keepalive) add(c *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns[c] = watched{c.heard.Load(), -1}
	if k.timer == nil {
		k.timer = time.AfterFunc(k.every, k.look)
	}
}

// remove ends it.
func (k *Keepalive) remove(c *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
	if len(k.conns) == 0 && k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// look looks at all connections.
func (k *Keepalive) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c, w := range k.conns {
		now := c.heard.Load()
		if w.quiet++; now != w.heard {
			w = watched{heard: now}
		}
		k.conns[c] = w
		switch w.quiet { // what has to be done may have to wait for a write
		case k.toPing:
			go c.ping()
		case k.toEnd:
			go c.fail(status.Error(codes.Unavailable, "keepalive: the server did not answer a ping"))
		}
	}
	if k.timer != nil {
		k.timer.Reset(k.every)
	}
}

func (c *Conn) ping() {
	// A failure is the end of the connection, and Serve's to tell.
	_ = c.write(func(b []byte) []byte { return grpcwire.AppendPing(b, [8]byte{}, false) })
}
