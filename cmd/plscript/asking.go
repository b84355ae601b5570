package main

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/injector"
	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// asks are the ways to what istiod does for pods besides their streams. One that the target does not have is nil.
type asks struct {
	injector     *injector.Injector
	certificates runtime.Certificates
	ca           *auth.IstiodCA
}

func (a *asks) close() {
	if a.injector != nil {
		a.injector.Close()
	}
	if a.ca != nil {
		_ = a.ca.Close() // nothing is under way any more
	}
}

// newAsks makes the ways that the target has.
func (r *session) newAsks() error {
	if r.hasAPI() {
		cfg := rest.CopyConfig(r.target.rest)
		cfg.QPS = -1
		client, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return fmt.Errorf("injection: %w", err)
		}
		r.asks.injector = injector.New(injector.Config{Client: client, Address: r.opt.target.injection, Insecure: r.opt.target.insecure})
	}
	address := r.authority()
	if address == "" {
		return nil
	}
	clock := wallClock{}
	cfg := auth.Config{Mode: auth.JWT, Insecure: r.opt.target.insecure, Clock: clock, Rand: newJitter()}
	var err error
	if cfg.Tokens, err = r.tokens(auth.JWT); err != nil {
		return err
	}
	if cfg.Roots, err = r.roots(auth.JWT); err != nil {
		return err
	}
	r.asks.ca = auth.NewIstiodCA(address, auth.Verify(cfg.Roots, "", cfg.Insecure, clock), clock)
	cfg.CA = r.asks.ca
	r.asks.certificates, err = auth.New(cfg)
	return err
}

// authority is istiod's secure port, where it signs certificates; "" if it is not known. A run may speak plaintext to a
// sandbox, which has both ports.
func (r *session) authority() string {
	switch {
	case r.target.box != nil:
		return r.target.box.SecureXDSAddress()
	case certifies(r.target.auth):
		return r.target.xds
	}
	return ""
}

// certifies reports whether proxies that authenticate in this way ask istiod for certificates: in plaintext they have no
// use for one, and Google's authority is another than istiod.
func certifies(m auth.Mode) bool { return m == auth.JWT || m == auth.MTLS }

// certify has proxies ask for certificates, unless their app says otherwise, where the target is not spoken to in
// plaintext.
func (r *session) certify(ctx context.Context) error {
	if !certifies(r.target.auth) {
		return nil
	}
	r.graph.Certify = true
	plan, ds := r.graph.Plan(ctx)
	if len(ds) > 0 {
		return ds
	}
	r.loaded.plan = plan
	return nil
}
