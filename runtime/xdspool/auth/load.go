package auth

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plscript/plscript/runtime"
)

var _ runtime.Certificates = (*Authenticator)(nil)

// Request implements [runtime.Certificates]: it asks for a certificate for p, which is neither kept nor shared.
func (a *Authenticator) Request(ctx context.Context, p runtime.Proxy, key runtime.KeyType) (time.Duration, error) {
	if a.cfg.CA == nil {
		return 0, errors.New("auth: no certificate authority")
	}
	id := a.identity(p)
	name := a.spiffe(id.Namespace, id.ServiceAccount)
	token, err := a.cfg.Tokens.Token(ctx, id)
	if err != nil {
		return 0, err
	}
	private, csr, err := newRequest(KeyType(key), name)
	if err != nil {
		return 0, err
	}
	began := a.cfg.Clock.Now()
	chain, err := a.cfg.CA.Sign(ctx, SignRequest{CSR: csr, Token: token, ClusterID: a.cfg.ClusterID, TTL: a.cfg.TTL})
	if err != nil {
		return 0, err
	}
	took := a.cfg.Clock.Now().Sub(began)
	if err := a.checkChain(ctx, private.Public(), name, chain); err != nil {
		return 0, fmt.Errorf("certificate for %s: %w", name, err)
	}
	return took, nil
}

// checkChain finds what a proxy's peers would not accept: a certificate of another key, for another identity, or that
// does not lead to the mesh's root.
func (a *Authenticator) checkChain(ctx context.Context, key crypto.PublicKey, name string, chain []*x509.Certificate) error {
	leaf := chain[0]
	if pub, ok := key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(leaf.PublicKey) {
		return errors.New("istiod signed another key than it was sent")
	}
	var names []string
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	if !slices.Equal(names, []string{name}) {
		return fmt.Errorf("istiod signed for %q", names)
	}
	trust, err := a.trust.config(ctx)
	if err != nil || trust.RootCAs == nil { // without roots, nobody is verified
		return err
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: trust.RootCAs, Intermediates: between, CurrentTime: a.cfg.Clock.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("it does not lead to the mesh's root: %w", err)
	}
	return nil
}
