package auth

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// pair is a key and what was signed for it.
type pair struct {
	key   crypto.Signer
	chain []*x509.Certificate
	renew time.Time
}

// certificate is the pair as package tls takes it.
func (p *pair) certificate() *tls.Certificate {
	out := &tls.Certificate{PrivateKey: p.key, Leaf: p.chain[0]}
	for _, x := range p.chain {
		out.Certificate = append(out.Certificate, x.Raw)
	}
	return out
}

// certificate is what one identity shows, now and after its renewals.
type certificate struct {
	id    Identity
	asked sync.Mutex // held while it is being requested, so that others wait for it

	mu     sync.Mutex
	pair   *pair
	config *tls.Config
	base   *tls.Config // what config was made from
}

func (c *certificate) current() *pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair
}

// tls returns the configuration of a connection that shows c. A renewal changes what new connections show, and not those
// that are there, as with the agent.
func (c *certificate) tls(ctx context.Context, t *trust) (*tls.Config, error) {
	base, err := t.config(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base != base {
		c.base, c.config = base, base.Clone()
		c.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.current().certificate(), nil
		}
	}
	return c.config, nil
}

// certificates are those of all identities.
type certificates struct {
	auth *Authenticator
	wake chan struct{} // told of certificates that are new to run

	mu    sync.Mutex
	known map[Identity]*certificate
}

func (s *certificates) init(a *Authenticator) {
	s.auth, s.known, s.wake = a, map[Identity]*certificate{}, make(chan struct{}, 1)
}

// of returns the certificate of p, which it requests if there is none or it is due.
func (s *certificates) of(ctx context.Context, p runtime.Proxy) (*certificate, error) {
	id := s.auth.identity(p)
	s.mu.Lock()
	c := s.known[id]
	if c == nil {
		c = &certificate{id: id}
		s.known[id] = c
	}
	s.mu.Unlock()
	if err := s.refresh(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// refresh requests c's certificate if it is due.
func (s *certificates) refresh(ctx context.Context, c *certificate) error {
	c.asked.Lock()
	defer c.asked.Unlock()
	if p := c.current(); p != nil && s.auth.cfg.Clock.Now().Before(p.renew) {
		return nil
	}
	p, err := s.auth.request(ctx, c.id, s.auth.spiffe(c.id.Namespace, c.id.ServiceAccount), false)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.pair = p
	c.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// retryAfter is how long a failed renewal waits: there is half a life left.
const retryAfter = 10 * time.Second

// run renews what is due until ctx is done.
func (s *certificates) run(ctx context.Context) error {
	for {
		now := s.auth.cfg.Clock.Now()
		wait := 24 * time.Hour // with nothing to renew; a new certificate wakes it
		for _, c := range s.list() {
			p := c.current()
			if p == nil {
				continue
			}
			due := p.renew.Sub(now)
			if due <= 0 {
				if due = s.renewed(ctx, c); ctx.Err() != nil {
					return ctx.Err()
				}
			}
			wait = min(wait, due)
		}
		timer, stop := s.auth.cfg.Clock.After(wait)
		select {
		case <-timer:
		case <-s.wake:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
	}
}

// renewed renews c and returns when to look at it again.
func (s *certificates) renewed(ctx context.Context, c *certificate) time.Duration {
	if s.refresh(ctx, c) != nil {
		return retryAfter
	}
	return c.current().renew.Sub(s.auth.cfg.Clock.Now())
}

func (s *certificates) list() []*certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*certificate, 0, len(s.known))
	for _, c := range s.known {
		out = append(out, c)
	}
	return out
}

// request makes a key and has it signed as the identity named. Only an impersonation names it to istiod: otherwise a
// certificate is for whom the token speaks, whatever the CSR says (Istio security/pkg/server/ca/server.go).
func (a *Authenticator) request(ctx context.Context, id Identity, name string, impersonate bool) (*pair, error) {
	token, err := a.cfg.Tokens.Token(ctx, id)
	if err != nil {
		return nil, err
	}
	key, csr, err := newRequest(a.cfg.Key, name)
	if err != nil {
		return nil, err
	}
	r := SignRequest{CSR: csr, Token: token, ClusterID: a.cfg.ClusterID, TTL: a.cfg.TTL}
	if impersonate {
		r.Impersonate = name
	}
	chain, err := a.cfg.CA.Sign(ctx, r)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(leaf.PublicKey) {
		return nil, errors.New("istiod signed another key than it was sent")
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return &pair{key: key, chain: chain, renew: a.renewal(life)}, nil
}

// renewal is when a certificate of the given life is renewed: half way through, give or take a hundredth, so that a mesh
// that started at once does not renew at once (Istio pilot/cmd/pilot-agent/options: SECRET_GRACE_PERIOD_RATIO and its
// jitter).
func (a *Authenticator) renewal(life time.Duration) time.Time {
	const ratio, jitter = 0.5, 0.01
	a.certs.mu.Lock()
	r := ratio + jitter*(2*a.cfg.Rand.Float64()-1)
	a.certs.mu.Unlock()
	return a.cfg.Clock.Now().Add(time.Duration(r * float64(life)))
}
