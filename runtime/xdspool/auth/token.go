package auth

import (
	"context"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// Identity is whom a token speaks for.
type Identity struct {
	Namespace, ServiceAccount string
	Pod                       string // that the token is bound to; "" for none
	PodIP                     string // tells a pod from the next one of the same name
}

// Tokens is a source of tokens that are good for at least a connect.
type Tokens interface {
	Token(ctx context.Context, id Identity) (string, error)
}

// Issuer makes a new token, which is a request somewhere. It says how long the token lives.
type Issuer interface {
	Issue(ctx context.Context, id Identity) (token string, life time.Duration, err error)
}

// cachedTokens asks an issuer once for each identity, and again when a token has lived four fifths of its life, as the
// kubelet does with the tokens it projects (Kubernetes pkg/kubelet/token requiresRefresh).
type cachedTokens struct {
	issuer Issuer
	clock  runtime.Clock

	mu    sync.Mutex
	known map[Identity]*cachedToken
}

type cachedToken struct {
	mu    sync.Mutex // held while the token is being issued, so that others wait for it
	value string
	renew time.Time
}

// Cached returns the tokens of an issuer, kept for as long as they are good.
func Cached(issuer Issuer, clock runtime.Clock) Tokens {
	return &cachedTokens{issuer: issuer, clock: clock, known: map[Identity]*cachedToken{}}
}

// Token implements [Tokens].
func (c *cachedTokens) Token(ctx context.Context, id Identity) (string, error) {
	c.mu.Lock()
	t := c.known[id]
	if t == nil {
		t = &cachedToken{}
		c.known[id] = t
	}
	c.mu.Unlock()

	t.mu.Lock()
	defer t.mu.Unlock()
	now := c.clock.Now()
	if t.value != "" && now.Before(t.renew) {
		return t.value, nil
	}
	value, life, err := c.issuer.Issue(ctx, id)
	if err != nil {
		return "", err
	}
	t.value, t.renew = value, now.Add(life*4/5)
	return value, nil
}
