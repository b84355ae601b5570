package xdspool

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/plscript/plscript/runtime"
)

// A proxy that says so asks for a workload certificate before it opens its stream, as its agent does, which has it signed
// while Envoy starts (Istio security/pkg/nodeagent/sds newSDSService), and again when half of its life is over.
const (
	certificateLife = 24 * time.Hour // what the agent asks for (Istio SECRET_TTL)
	renewalRatio    = 0.5            // SECRET_GRACE_PERIOD_RATIO
	renewalJitter   = 0.01           // SECRET_GRACE_PERIOD_RATIO_JITTER
	// maxCertifying bounds the requests under way. istiod signs on a few cores: more would wait there.
	maxCertifying = 64
)

// certifier asks for the certificates of a pool's proxies.
type certifier struct {
	pool *Pool
	slot chan struct{} // has room for what is under way

	mu    sync.Mutex
	queue renewals
	wake  chan struct{} // told that the first renewal may be another one
}

func newCertifier(p *Pool) *certifier {
	return &certifier{pool: p, slot: make(chan struct{}, maxCertifying), wake: make(chan struct{}, 1)}
}

// admit returns when c has a certificate, if its proxy is one that needs it, or with ctx's error.
func (s *certifier) admit(ctx context.Context, c *client) error {
	if !c.proxy.CSR {
		return nil
	}
	for wait := newBackoff(runtime.ClassSidecar); ; {
		err := s.request(ctx, c)
		if err == nil {
			s.renewLater(c)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !apierrors.IsNotFound(err) {
			s.pool.logEnd(ctx, c, "", err)
		}
		if err := s.pool.cfg.Clock.Sleep(ctx, wait.after(err, s.pool.random())); err != nil {
			return err
		}
	}
}

// request asks once, and records how it went.
func (s *certifier) request(ctx context.Context, c *client) error {
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slot }()
	if s.pool.cfg.Certificates == nil {
		return &runtime.NoServiceError{Need: "ask istiod for certificates", Hint: "they are signed at its secure port; try --auth jwt"}
	}
	took, err := s.pool.cfg.Certificates.Request(ctx, c.proxy, runtime.KeyECDSA)
	// Without its ServiceAccount a pod has no token, and a kubelet does not start it: that the account is not there yet says
	// nothing about istiod.
	if err == nil || ctx.Err() == nil && !apierrors.IsNotFound(err) {
		s.pool.cfg.Stages.Record(runtime.StageCertificate, took, err)
	}
	return err
}

// renewLater puts c in the queue for its renewal.
func (s *certifier) renewLater(c *client) {
	half := renewalRatio + renewalJitter*(2*s.pool.random()-1)
	due := s.pool.cfg.Clock.Now().Add(time.Duration(half * float64(certificateLife)))
	s.mu.Lock()
	heap.Push(&s.queue, renewal{due, c})
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run renews what is due until ctx is done, one after the other: half of their lives is left.
func (s *certifier) run(ctx context.Context) {
	for {
		c, wait := s.next(s.pool.cfg.Clock.Now())
		if c != nil {
			if err := s.request(ctx, c); err != nil && ctx.Err() == nil {
				s.pool.cfg.Log.Warn("a certificate was not renewed", slog.String("proxy", c.proxy.Key()), slog.Any("error", err))
			}
			s.renewLater(c)
			continue
		}
		timer, stop := (<-chan time.Time)(nil), func() {}
		if wait > 0 {
			timer, stop = s.pool.cfg.Clock.After(wait)
		}
		select {
		case <-timer:
		case <-s.wake:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
	}
}

// next takes a client whose renewal is due from the queue, or returns nil and how long there is none; 0 if none is known.
func (s *certifier) next(now time.Time) (*client, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		first := s.queue[0]
		if gone := s.pool.isClosed(first.client); !gone && now.Before(first.due) {
			return nil, first.due.Sub(now)
		} else if heap.Pop(&s.queue); !gone {
			return first.client, 0
		}
	}
	return nil, 0
}

// isClosed reports whether c was taken away.
func (p *Pool) isClosed(c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.closed
}

// renewal is a client whose certificate is renewed when it is due.
type renewal struct {
	due    time.Time
	client *client
}

// renewals is a heap, the first one due on top.
type renewals []renewal

func (q renewals) Len() int           { return len(q) }
func (q renewals) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q renewals) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *renewals) Push(x any) { *q = append(*q, x.(renewal)) }

// Pop implements [heap.Interface].
func (q *renewals) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = renewal{}
	*q = old[:len(old)-1]
	return last
}
