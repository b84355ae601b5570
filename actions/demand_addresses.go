package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/plscript/plscript/runtime"
)

//go:embed demand_addresses.cue
var demandAddressesCUE string

type demandAddresses struct {
	requests
	From   string `json:"from"`
	Select string `json:"select"`
	By     string `json:"by"`

	from, to *runtime.Selector
}

// Check finds what only several fields together show.
func (a *demandAddresses) Check(_ context.Context, c *runtime.Checker) {
	a.check(c, "connections")
	a.from, a.to = c.Selector("from", a.From), c.Selector("select", a.Select)
}

func (a *demandAddresses) Plan(ctx context.Context, p *runtime.Planner) error {
	if !p.Proxies.OnDemand {
		return errNotOnDemand
	}
	next, err := a.connections(ctx, p.Mesh, p.Rand)
	if err != nil {
		return err
	}
	if a.Rate == nil {
		p.Says(fmt.Sprintf("%d connections", a.Count))
	}
	return a.planEach(p, next)
}

func (a *demandAddresses) Run(ctx context.Context, env *runtime.Env) error {
	if env.Demands == nil {
		return &runtime.NoServiceError{Need: "have ztunnels ask for addresses"}
	}
	next, err := a.connections(ctx, env.Mesh, env.Rand)
	if err != nil {
		return err
	}
	return a.runEach(ctx, env, next)
}

var (
	errNotOnDemand    = errors.New("needs `proxies: onDemand: true`: ztunnels are sent all addresses otherwise, and ask for none")
	errNobodyConnects = errors.New("from: it holds for no pod that was planned before this step")
	errNoAmbient      = errors.New("there is no pod of type ambient that could connect: plan some before this step, or say which pods do with `from`")
	errNowhere        = errors.New("select: it holds for no pod that was planned before this step")
	errNoZtunnel      = errors.New("no pod that connects or is connected to is of type ambient and on a node with a ztunnel: createNodes needs `ztunnel: true`")
)

// connections returns what each connection leads to. The places of both ends are chosen once, so that a run plans the same
// operations however fast they are carried out.
func (a *demandAddresses) connections(ctx context.Context, m *runtime.Mesh, r *rand.Rand) (func(int) ([]runtime.Intent, error), error) {
	from, err := m.Places(ctx, a.from)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if a.from == nil {
		from = ambient(from)
	}
	to, err := m.Places(ctx, a.to)
	if err != nil {
		return nil, fmt.Errorf("select: %w", err)
	}
	switch {
	case len(from) == 0 && a.from == nil:
		return nil, errNoAmbient
	case len(from) == 0:
		return nil, errNobodyConnects
	case len(to) == 0:
		return nil, errNowhere
	case !anyServed(m, from) && !anyServed(m, to):
		return nil, errNoZtunnel
	}
	return func(int) ([]runtime.Intent, error) {
		one, other := m.PodAt(from[r.IntN(len(from))]), m.PodAt(to[r.IntN(len(to))])
		if one == nil || other == nil {
			return nil, nil // it is gone for good
		}
		return a.connect(m, one, other), nil
	}, nil
}

// ambient are the places of pods that ztunnels serve.
func ambient(places []runtime.Place) []runtime.Place {
	var out []runtime.Place
	for _, p := range places {
		if p.App().Type == runtime.AppAmbient {
			out = append(out, p)
		}
	}
	return out
}

// served reports whether the traffic of the pod goes through a ztunnel.
func served(p *runtime.Pod) bool { return p.App.Type == runtime.AppAmbient && p.Node().Ztunnel }

func anyServed(m *runtime.Mesh, places []runtime.Place) bool {
	for _, at := range places {
		if p := m.PodAt(at); p != nil && served(p) {
			return true
		}
	}
	return false
}

// connect plans what the ztunnels at both ends of a connection ask for.
func (a *demandAddresses) connect(m *runtime.Mesh, from, to *runtime.Pod) []runtime.Intent {
	var out []runtime.Intent
	apart := from.Node() != to.Node() // istiod sends a ztunnel the pods of its own node unasked
	if served(from) {
		// Where does it go? (ztunnel src/proxy/outbound.rs, build_request)
		switch service := serviceAddress(to.App); {
		case a.By == "service" && m.Learn(from.Node(), service):
			out = append(out, demand(from.Node(), service))
		case a.By == "pod" && apart && m.Learn(from.Node(), podAddress(to), service):
			out = append(out, demand(from.Node(), podAddress(to)))
		}
	}
	// Where does it come from? (ztunnel src/proxy/inbound.rs, fetch_workload_by_address)
	if served(to) && apart && m.Learn(to.Node(), podAddress(from), serviceAddress(from.App)) {
		out = append(out, demand(to.Node(), podAddress(from)))
	}
	return out
}

// serviceAddress is what istiod calls the app's Service.
func serviceAddress(a *runtime.App) string { return a.Namespace.Name + "/" + a.Host() }

// podAddress is the pod's address in the network of who asks.
func podAddress(p *runtime.Pod) string { return "/" + p.IP() }

// demand has the node's ztunnel ask for an address.
func demand(n *runtime.Node, address string) runtime.Intent {
	return runtime.Intent{Demand: &runtime.Demand{Ztunnel: istioSystem + "/" + ztunnelName(n), Address: address}}
}
