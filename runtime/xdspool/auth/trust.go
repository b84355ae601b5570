package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// rootsFor is how long the mesh's root is taken for granted before it is read again: it may be rotated under a run.
const rootsFor = time.Minute

// trust is how istiod is verified. Its configuration is the same pointer for as long as it says the same, so that
// streams can share connections.
type trust struct {
	roots    Roots
	clock    runtime.Clock
	insecure bool
	name     string

	mu    sync.Mutex
	pool  *x509.CertPool
	until time.Time
	plain *tls.Config
}

// Verify returns how connections to istiod are verified that show no certificate, for a [NewIstiodCA] or other clients of
// istiod: with the mesh's root, and by istiod's name. The root is read again every minute.
func Verify(roots Roots, serverName string, insecure bool, clock runtime.Clock) func(context.Context) (*tls.Config, error) {
	setDefault(&serverName, istiodName)
	t := &trust{roots: roots, clock: clock, insecure: insecure, name: serverName}
	return t.config
}

// config returns the TLS configuration of a connection that shows no certificate.
func (t *trust) config(ctx context.Context) (*tls.Config, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if t.plain != nil && (t.insecure || now.Before(t.until)) {
		return t.plain, nil
	}
	if t.insecure {
		t.plain = &tls.Config{ServerName: t.name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
		return t.plain, nil
	}
	pool, err := t.roots.Roots(ctx)
	if err != nil {
		return nil, err
	}
	t.until = now.Add(rootsFor)
	if t.plain == nil || !pool.Equal(t.pool) {
		t.pool = pool
		t.plain = &tls.Config{ServerName: t.name, RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t.plain, nil
}
