// Package auth is how proxies prove to istiod who they are: with tokens of their ServiceAccounts, with certificates that
// istiod signed for them, or not at all.
//
// [Authenticator] implements the pool's interface of that name. What it needs from outside is behind small interfaces,
// which kube.go and google.go implement: [Tokens] and [Roots]. Tokens and certificates are kept for each identity and
// renewed when a real proxy would; thousands of pods share the few ServiceAccounts of a mesh.
package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/h2"
)

// Mode is how proxies authenticate.
type Mode string

// The modes.
const (
	Plaintext    Mode = "plaintext"     // nothing is shown, and nothing encrypted
	PlaintextJWT Mode = "plaintext-jwt" // a token over plaintext: for a proxy in front of istiod that ends TLS
	JWT          Mode = "jwt"           // a token over TLS, as the agent of a pod does
	MTLS         Mode = "mtls"          // a certificate that istiod signed for the proxy's own key
	Google       Mode = "google"        // a token of Google's, for which a ServiceAccount's was exchanged
)

// Modes lists every mode.
var Modes = []Mode{Plaintext, PlaintextJWT, JWT, MTLS, Google}

// istiodName is the name that istiod's certificate has in every installation; addresses may be forwarded ports.
const istiodName = "istiod.istio-system.svc"

// Config sets up an [Authenticator].
type Config struct {
	Mode   Mode
	Tokens Tokens // required but for plaintext
	Roots  Roots  // required with TLS, unless Insecure
	CA     Signer // required for mtls
	// Insecure does not verify who istiod is.
	Insecure   bool
	ServerName string // that istiod's certificate has to have; "" means istiod.istio-system.svc
	ClusterID  string // "" means "Kubernetes"
	Domain     string // the trust domain; "" means "cluster.local"
	// PerPod gives each pod a token and certificate of its own, bound to it, as in life. Without it, pods share those of
	// their ServiceAccount, and only ztunnel's tokens are bound, which istiod insists on.
	PerPod bool
	Key    KeyType       // of certificates; "" means ECDSA
	TTL    time.Duration // of certificates; 0 means 24 h, the agent's default

	Clock runtime.Clock // required
	Rand  *rand.Rand    // for the jitter of renewals; nil means a fixed seed
}

// Authenticator finds the credentials of proxies. It implements [xdspool.Authenticator].
type Authenticator struct {
	cfg   Config
	trust trust
	certs certificates
}

var _ xdspool.Authenticator = (*Authenticator)(nil)

// New checks cfg and returns its authenticator.
func New(cfg Config) (*Authenticator, error) {
	secure := cfg.Mode == JWT || cfg.Mode == MTLS || cfg.Mode == Google
	switch {
	case cfg.Clock == nil:
		return nil, errors.New("auth: no clock")
	case cfg.Mode == Plaintext:
	case cfg.Mode != PlaintextJWT && !secure:
		return nil, fmt.Errorf("auth: unknown mode %q: there are %q", cfg.Mode, Modes)
	case cfg.Tokens == nil:
		return nil, fmt.Errorf("auth %s: no source of tokens", cfg.Mode)
	case secure && cfg.Roots == nil && !cfg.Insecure:
		return nil, fmt.Errorf("auth %s: no root to verify istiod with", cfg.Mode)
	case cfg.Mode == MTLS && cfg.CA == nil:
		return nil, errors.New("auth mtls: no certificate authority")
	}
	setDefault(&cfg.ServerName, istiodName)
	setDefault(&cfg.ClusterID, "Kubernetes")
	setDefault(&cfg.Domain, "cluster.local")
	setDefault(&cfg.Key, ECDSA)
	if cfg.TTL == 0 {
		cfg.TTL = 24 * time.Hour
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(0, 0))
	}
	a := &Authenticator{cfg: cfg, trust: trust{roots: cfg.Roots, clock: cfg.Clock, insecure: cfg.Insecure, name: cfg.ServerName}}
	a.certs.init(a)
	return a, nil
}

func setDefault[T ~string](p *T, value T) {
	if *p == "" {
		*p = value
	}
}

// Credentials implements [xdspool.Authenticator].
func (a *Authenticator) Credentials(ctx context.Context, p runtime.Proxy) (xdspool.Credentials, error) {
	var out xdspool.Credentials
	switch a.cfg.Mode {
	case Plaintext:
		return out, nil
	case MTLS:
		cert, err := a.certs.of(ctx, p)
		if err != nil {
			return out, err
		}
		out.TLS, err = cert.tls(ctx, &a.trust)
		return out, err
	}
	token, err := a.cfg.Tokens.Token(ctx, a.identity(p))
	if err != nil {
		return out, err
	}
	out.Header = []h2.Header{{Name: "authorization", Value: "Bearer " + token}, {Name: "clusterid", Value: a.cfg.ClusterID}}
	if a.cfg.Mode != PlaintextJWT {
		out.TLS, err = a.trust.config(ctx)
	}
	return out, err
}

// identity is whom a token for p is asked for: its ServiceAccount, or the pod itself.
func (a *Authenticator) identity(p runtime.Proxy) Identity {
	id := Identity{Namespace: p.Namespace, ServiceAccount: p.ServiceAccount}
	if id.ServiceAccount == "" {
		id.ServiceAccount = "default"
	}
	if p.Pod && (a.cfg.PerPod || p.Class == runtime.ClassZtunnel) {
		id.Pod, id.PodIP = p.Name, p.IP
	}
	return id
}

// Run renews certificates until ctx is done. Without it, they are renewed when a proxy connects.
func (a *Authenticator) Run(ctx context.Context) error { return a.certs.run(ctx) }

// Certificate returns the chain, leaf first, that istiod signed for p, now or when it was last asked and not half its
// life ago.
func (a *Authenticator) Certificate(ctx context.Context, p runtime.Proxy) ([]*x509.Certificate, error) {
	pair, err := a.pair(ctx, p)
	if err != nil {
		return nil, err
	}
	return pair.chain, nil
}

// KeyPair returns the same with its key: what the proxy's agent would hand it.
func (a *Authenticator) KeyPair(ctx context.Context, p runtime.Proxy) (*tls.Certificate, error) {
	pair, err := a.pair(ctx, p)
	if err != nil {
		return nil, err
	}
	return pair.certificate(), nil
}

func (a *Authenticator) pair(ctx context.Context, p runtime.Proxy) (*pair, error) {
	if a.cfg.CA == nil {
		return nil, errors.New("auth: no certificate authority")
	}
	c, err := a.certs.of(ctx, p)
	if err != nil {
		return nil, err
	}
	return c.current(), nil
}

// Impersonate has a ztunnel ask for the certificate of a workload on its node, and returns the chain. istiod has to trust
// the ztunnel's account (CA_TRUSTED_NODE_ACCOUNTS), and a pod of the identity has to be on the node (Istio
// security/pkg/server/ca/node_auth.go).
func (a *Authenticator) Impersonate(ctx context.Context, ztunnel runtime.Proxy, namespace, account string) ([]*x509.Certificate, error) {
	if a.cfg.CA == nil {
		return nil, errors.New("auth: no certificate authority")
	}
	id := Identity{Namespace: ztunnel.Namespace, ServiceAccount: ztunnel.ServiceAccount, Pod: ztunnel.Name, PodIP: ztunnel.IP}
	pair, err := a.request(ctx, id, a.spiffe(namespace, account), true)
	if err != nil {
		return nil, err
	}
	return pair.chain, nil
}

func (a *Authenticator) spiffe(namespace, account string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", a.cfg.Domain, namespace, account)
}
