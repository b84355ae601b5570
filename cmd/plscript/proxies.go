package main

import (
	"fmt"
	"net"

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
		Lookup: net.DefaultResolver.LookupHost, ConnectRate: p.ConnectRate.At(0), StreamsPerConnection: p.StreamsPerConnection,
		Fidelity: xdspool.Fidelity{
			SotW: p.Protocol == "sotw", NodeAlways: p.Node == "always", Extensions: p.Extensions == "envoy", OnDemand: p.OnDemand,
			Refuse: map[string]float64{},
		},
	}
	for _, n := range p.Nack {
		cfg.Fidelity.Refuse[n.Type] = n.Probability
	}
	var err error
	cfg.Addresses, err = pinned(r.target.addresses(), p.Pin)
	return cfg, err
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
