package main

import (
	mathrand "math/rand/v2"
	"net"
	"slices"

	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// tokenAudience is whom istiod wants tokens to be made out to (Istio, security/pkg/k8s/tokenreview, the default of
// TOKEN_AUDIENCES).
const tokenAudience = "istio-ca"

// istioSystem is where istiod lives and keeps the mesh's root certificate.
const istioSystem = "istio-system"

// checkAuth finds the mode that --auth names; without it, that of the address: istiod's plaintext port is 15010, and
// Google's istiod has a name.
func checkAuth(mode, address string) (auth.Mode, error) {
	if mode != "" {
		if !slices.Contains(auth.Modes, auth.Mode(mode)) {
			return "", usage("--auth %s: want one of %q", mode, auth.Modes)
		}
		return auth.Mode(mode), nil
	}
	_, port, err := net.SplitHostPort(address)
	switch {
	case isGoogle(address):
		return auth.Google, nil
	case err == nil && port != "15010":
		return auth.JWT, nil
	}
	return auth.Plaintext, nil
}

// secure reports whether the mode speaks TLS.
func secure(m auth.Mode) bool { return m == auth.JWT || m == auth.MTLS || m == auth.Google }

// newAuth makes what proxies show istiod; nil for plaintext.
func (r *session) newAuth(rand *mathrand.Rand) (*auth.Authenticator, error) {
	mode := r.target.auth
	if mode == auth.Plaintext {
		return nil, nil
	}
	clock := wallClock{}
	cfg := auth.Config{Mode: mode, Insecure: r.opt.target.insecure, Clock: clock, Rand: rand}
	var err error
	if cfg.Tokens, err = r.tokens(mode); err != nil {
		return nil, err
	}
	if cfg.Roots, err = r.roots(mode); err != nil {
		return nil, err
	}
	if g := r.target.google; g != nil {
		cfg.ServerName, cfg.ClusterID, cfg.Domain = googleHost, g.ID(), g.WorkloadPool()
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
