package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/plscript/plscript/runtime"
)

//go:embed request_certificates.cue
var requestCertificatesCUE string

type requestCertificates struct {
	requests
	Key    runtime.KeyType `json:"key"`
	Select string          `json:"select"`

	selector *runtime.Selector
}

// Check finds what only several fields together show.
func (a *requestCertificates) Check(_ context.Context, c *runtime.Checker) {
	a.check(c, "requests")
	a.selector = c.Selector("select", a.Select)
	if !a.selector.Fits(runtime.Scene{App: &runtime.App{Namespace: &runtime.Namespace{}}}) {
		c.Errorf("select", "can read app and ns only: certificates are for ServiceAccounts, not for pods")
	}
}

func (a *requestCertificates) Plan(ctx context.Context, p *runtime.Planner) error {
	next, err := a.intents(ctx, p.Mesh)
	if err != nil {
		return err
	}
	return a.plan(p, next)
}

func (a *requestCertificates) Run(ctx context.Context, env *runtime.Env) error {
	next, err := a.intents(ctx, env.Mesh)
	if err != nil {
		return err
	}
	return a.run(ctx, env, next)
}

// intents returns what asks for each certificate.
func (a *requestCertificates) intents(ctx context.Context, m *runtime.Mesh) (func(int) (runtime.Intent, error), error) {
	who, err := a.accounts(ctx, m)
	if err != nil {
		return nil, err
	}
	return func(i int) (runtime.Intent, error) {
		p := who[i%len(who)]
		p.Name = fmt.Sprintf("certificate-%d", i)
		return runtime.Intent{
			Kind: "ServiceAccount", Namespace: p.Namespace, Name: p.ServiceAccount,
			Certificate: &runtime.CertificateRequest{Proxy: p, Key: a.Key},
		}, nil
	}, nil
}

var errNoApps = errors.New("select: it holds for no app that was planned before this step")

// accounts are the identities of the apps, each once.
func (a *requestCertificates) accounts(ctx context.Context, m *runtime.Mesh) ([]runtime.Proxy, error) {
	var out []runtime.Proxy
	seen := map[[2]string]bool{}
	for _, ns := range m.Namespaces() {
		for _, app := range m.Apps(ns) {
			ok, err := a.selector.Matches(ctx, runtime.Scene{App: app})
			if err != nil {
				return nil, fmt.Errorf("select: %w", err)
			}
			id := [2]string{ns.Name, app.Account}
			if !ok || !app.Type.InCluster() || seen[id] {
				continue
			}
			seen[id] = true
			out = append(out, runtime.Proxy{Class: runtime.ClassSidecar, Namespace: ns.Name, ServiceAccount: app.Account, App: app.Name})
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case a.selector != nil:
		return nil, errNoApps
	}
	return []runtime.Proxy{{Class: runtime.ClassClient, Namespace: "default", ServiceAccount: "default"}}, nil
}
