package xdspool

import (
	"time"

	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// backoff is how long a proxy waits before it connects again.
type backoff struct {
	base, max time.Duration
	next      time.Duration
	ztunnel   bool
}

// newBackoff returns the backoff of a class: Envoy's is 0.5 to 30 s with full jitter (Envoy source/common/common
// JitteredExponentialBackOffStrategy), ztunnel's is 10 ms doubling to 15 s (ztunnel src/xds/client.rs). Both start over
// once a response has come: a connection alone proves nothing, since istiod refuses streams after accepting them.
func newBackoff(c runtime.ProxyClass) *backoff {
	b := &backoff{base: 500 * time.Millisecond, max: 30 * time.Second}
	if c == runtime.ClassZtunnel {
		b = &backoff{base: 10 * time.Millisecond, max: 15 * time.Second, ztunnel: true}
	}
	b.reset()
	return b
}

func (b *backoff) reset() { b.next = b.base }

// after returns how long to wait after err; random is uniform in [0, 1).
func (b *backoff) after(err error, random float64) time.Duration {
	if b.ztunnel && benign(err) {
		b.reset()
		return b.base
	}
	d := b.next
	b.next = min(2*d, b.max)
	if b.ztunnel {
		return d
	}
	return time.Duration(random * float64(d))
}

// benign reports whether ztunnel takes err for the ordinary end of a stream, after which it connects at once. It does so
// for a connection that was closed or told to go away as well: such a stream has had a response, and starts over anyway.
func benign(err error) bool {
	switch status.Code(err) {
	case codes.Unknown, codes.Canceled, codes.DeadlineExceeded:
		return true
	}
	return false
}
