package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/xdspool"
)

// poolConfig sets up the pool as the scenario says.
func (r *session) poolConfig() (xdspool.Config, error) {
	p := r.scenario.Proxies
	cfg := xdspool.Config{
		Auth: poolAuth(r.auth), Clock: wallClock{}, Rand: newJitter(), Notify: r.signal, Log: r.log,
		Certificates: r.asks.certificates, Stages: r.stages,
		IstioVersion: r.target.version, ClusterID: r.clusterID(), Metadata: r.metadata(),
		Lookup: lookupIstiods, ConnectRate: p.ConnectRate.At(0), StreamsPerConnection: p.StreamsPerConnection, Hold: r.awaitLoad,
		Fidelity: xdspool.Fidelity{
			SotW: p.Protocol == "sotw", NodeAlways: p.Node == "always", Extensions: p.Extensions == "envoy", OnDemand: p.OnDemand,
			NoWorkloadDiscovery: !p.Workloads,
			Refuse:              map[string]float64{},
		},
	}
	for _, n := range p.Nack {
		cfg.Fidelity.Refuse[n.Type] = n.Probability
	}
	var err error
	cfg.Addresses, err = pinned(r.target.addresses(), p.Pin)
	return cfg, err
}

// awaitLoad has proxies connect when the load that makes their pods is over, or has lasted.
func (r *session) awaitLoad(ctx context.Context) error {
	if r.writer == nil {
		return nil // there is only istiod
	}
	return r.writer.AwaitLoad(ctx)
}

// pinned are the addresses of the istiods to connect to: all, or the one that the scenario names.
func pinned(all []string, pin ir.Pin) ([]string, error) {
	switch {
	case pin.Set && pin.Number >= len(all):
		return nil, targetError{fmt.Errorf("proxies.pin: %d: the target has istiods 0 to %d", pin.Number, len(all)-1)}
	case pin.Set:
		return all[pin.Number : pin.Number+1], nil
	case pin.Address != "":
		return []string{pin.Address}, nil
	}
	return all, nil
}

// lookupIstiods finds the addresses behind a name, one for each istiod: of those that have two families, the IPv4 ones.
func lookupIstiods(ctx context.Context, host string) ([]string, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	v4 := slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap().Is4() })
	var out []string
	for _, a := range found {
		if a = a.Unmap(); a.Is4() == v4 {
			out = append(out, a.String())
		}
	}
	return out, nil
}
