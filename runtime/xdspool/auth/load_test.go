package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime"
)

// csrKey is the key that a request is for.
func csrKey(t *testing.T, text string) any {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return csr.PublicKey
}

// TestRequestsAreNotShared: as load, each certificate is asked for with a key of its own, of the kind that is asked for.
func TestRequestsAreNotShared(t *testing.T) {
	t.Parallel()
	m := newMesh(t, newClock())
	i := &issuer{life: time.Hour}
	a := m.authenticator(t, i, func(c *Config) { c.Mode = JWT })
	for _, key := range []runtime.KeyType{runtime.KeyECDSA, runtime.KeyECDSA, runtime.KeyRSA} {
		if _, err := a.Request(t.Context(), pod("p"), key); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.count(); n != 3 {
		t.Fatalf("%d requests", n)
	}
	first, ok := csrKey(t, m.requests[0].Csr).(*ecdsa.PublicKey)
	if second := csrKey(t, m.requests[1].Csr); !ok || first.Equal(second) {
		t.Errorf("keys %T and %T are the same", first, second)
	}
	if third, ok := csrKey(t, m.requests[2].Csr).(*rsa.PublicKey); !ok || third.N.BitLen() != rsaBits {
		t.Errorf("the third key is a %T", csrKey(t, m.requests[2].Csr))
	}
	if i.count() != 1 {
		t.Errorf("%d tokens for one identity", i.count())
	}
}

// signerFunc is a Signer.
type signerFunc func(context.Context, SignRequest) ([]*x509.Certificate, error)

func (f signerFunc) Sign(ctx context.Context, r SignRequest) ([]*x509.Certificate, error) {
	return f(ctx, r)
}

// TestUselessCertificates: an answer that no peer would take is an error, and not one certificate more.
func TestUselessCertificates(t *testing.T) {
	t.Parallel()
	m, other := newMesh(t, newClock()), newMesh(t, newClock())
	honest := NewIstiodCA(m.address, Verify(m, "", false, m.clock), m.clock)
	t.Cleanup(func() { honest.Close() })
	csr := func(name string) string {
		_, text, err := newRequest(ECDSA, name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for want, c := range map[string]struct {
		roots Roots
		sign  signerFunc
	}{
		"another key": {m, func(ctx context.Context, r SignRequest) ([]*x509.Certificate, error) {
			r.CSR = csr("spiffe://cluster.local/ns/ns/sa/sa")
			return honest.Sign(ctx, r)
		}},
		"the mesh's root": {other, honest.Sign},
		"signed for": {m, func(ctx context.Context, r SignRequest) ([]*x509.Certificate, error) {
			chain, err := honest.Sign(ctx, r)
			if err == nil {
				chain[0].URIs = nil
			}
			return chain, err
		}},
	} {
		a := m.authenticator(t, &issuer{life: time.Hour}, func(cfg *Config) { cfg.Roots, cfg.CA = c.roots, c.sign })
		if _, err := a.Request(t.Context(), pod("p"), runtime.KeyECDSA); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
