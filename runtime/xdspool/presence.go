package xdspool

import (
	"context"
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Presence is one proxy as istiod sees it, and what it holds: all that someone needs who wants to check on it.
type Presence struct {
	Node        *core.Node
	Credentials Credentials
	Types       []string                     // URLs of the types it is subscribed to as a whole
	Held        map[string]map[string]uint64 // the xxhash of each resource on the wire, an Any, by type URL and name
}

// Present returns a proxy that is connected.
func (p *Pool) Present(ctx context.Context, key string) (*Presence, error) {
	p.mu.Lock()
	m := p.members[key]
	if m == nil || m.client == nil || !m.client.open {
		p.mu.Unlock()
		return nil, fmt.Errorf("proxy %s is not connected", key)
	}
	c := m.client
	out := &Presence{Held: map[string]map[string]uint64{}}
	for _, t := range order(c.proxy.Class) {
		sub := &c.types[t]
		if !sub.active {
			continue
		}
		if sub.onDemand {
			continue // what it asks for is its traffic's choice, which nobody else can know
		}
		if !sub.byName(t) {
			out.Types = append(out.Types, t.url())
		}
		held := map[string]uint64{}
		for _, e := range sub.table.entries {
			if e.content != 0 {
				held[p.store.names[e.name].key.name] = p.store.contents[e.content].key.sum
			}
		}
		out.Held[t.url()] = held
	}
	p.mu.Unlock()

	var err error
	if out.Node, err = p.cfg.node(c.proxy); err != nil {
		return nil, err
	}
	out.Credentials, err = p.credentials(ctx, c.proxy)
	return out, err
}
