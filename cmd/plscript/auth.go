package main

import (
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"slices"

	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// tokenAudience is whom istiod wants tokens to be made out to (Istio, security/pkg/k8s/tokenreview, the default of
// TOKEN_AUDIENCES).
const tokenAudience = "istio-ca"

// istioSystem is where istiod lives and keeps the mesh's root certificate.
const istioSystem = "istio-system"

// authModes are those that --auth takes. Google's needs a cluster of Google's, which a run has no flags for.
var authModes = []auth.Mode{auth.Plaintext, auth.PlaintextJWT, auth.JWT, auth.MTLS}

// checkAuth finds the mode that --auth names; without it, that of the address: istiod's plaintext port is 15010.
func checkAuth(mode, address string) (auth.Mode, error) {
	if mode == "" {
		if _, port, err := net.SplitHostPort(address); err == nil && port != "15010" {
			return auth.JWT, nil
		}
		return auth.Plaintext, nil
	}
	if !slices.Contains(authModes, auth.Mode(mode)) {
		return "", usage("--auth %s: want one of %q", mode, authModes)
	}
	return auth.Mode(mode), nil
}

// secure reports whether the mode speaks TLS.
func secure(m auth.Mode) bool { return m == auth.JWT || m == auth.MTLS }

// newAuth makes what proxies show istiod; nil for plaintext.
func (r *session) newAuth(rand *mathrand.Rand) (*auth.Authenticator, error) {
	mode := r.target.auth
	if mode == auth.Plaintext {
		return nil, nil
	}
	client, err := kubernetes.NewForConfig(r.target.rest)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	clock := wallClock{}
	cfg := auth.Config{
		Mode: mode, Tokens: auth.Cached(auth.KubeTokens(client, tokenAudience, clock), clock),
		Roots: auth.KubeRoots(client, istioSystem), Insecure: r.opt.target.insecure, Clock: clock, Rand: rand,
	}
	if mode == auth.MTLS {
		cfg.CA = auth.NewIstiodCA(r.target.xds, auth.Verify(cfg.Roots, "", cfg.Insecure, clock), clock)
	}
	return auth.New(cfg)
}

// poolAuth keeps a nil authenticator nil as the pool's interface.
func poolAuth(a *auth.Authenticator) xdspool.Authenticator {
	if a == nil {
		return nil
	}
	return a
}
