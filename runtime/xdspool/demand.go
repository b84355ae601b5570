package xdspool

import (
	"fmt"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

// A ztunnel with XDS_ON_DEMAND=true is sent the workloads of its node unasked, and asks for any other address when
// traffic needs it, one request an address (ztunnel src/state.rs fetch_on_demand, src/xds/client.rs handle_demand_event;
// Istio pilot/pkg/xds/workload.go generateDeltasOndemand).

// Demand implements [runtime.Demands]. A ztunnel without a stream asks when it has one.
func (p *Pool) Demand(d runtime.Demand, since time.Time) {
	s, requests, err := p.demand(d, since)
	if err != nil {
		p.cfg.Stages.Record(runtime.StageDemand, 0, err)
		return
	}
	p.notify()
	if s == nil {
		return
	}
	if err := s.send(requests); err != nil {
		s.stream.Close()
		s.Closed(err)
	}
}

// demand notes what a ztunnel needs to know, and returns the request for it and the stream to send it on; no stream if
// there is nothing to send, or not yet.
func (p *Pool) demand(d runtime.Demand, since time.Time) (*call, []request, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[d.Ztunnel]
	switch {
	case m == nil || m.client == nil:
		return nil, nil, fmt.Errorf("%s is asked for %s and does not run", d.Ztunnel, d.Address)
	case !m.client.types[wds].onDemand:
		return nil, nil, fmt.Errorf("%s is asked for %s and is no ztunnel that works on demand", d.Ztunnel, d.Address)
	}
	c := m.client
	name, first := p.applier.demand(c, c.inNetwork(d.Address))
	if !first {
		return nil, nil, nil
	}
	if c.demands == nil {
		c.demands = map[nameID]time.Time{}
	}
	c.demands[name] = since
	p.stats.demand.pending++
	p.updateSynced(c)
	if c.now == nil || !c.types[wds].active {
		return nil, nil, nil
	}
	ask := resubscription{typ: wds, add: []string{p.store.names[name].key.name}}
	return c.now, []request{p.resubscribe(c, ask)}, nil
}

// inNetwork completes the address of a pod, "/10.1.2.3", with the network that the ztunnel is in.
func (c *client) inNetwork(address string) string {
	if !strings.HasPrefix(address, "/") {
		return address
	}
	if own, ok := c.proxy.Metadata["NETWORK"]; ok {
		return own + address
	}
	common, _ := c.pool.cfg.Metadata["NETWORK"].(string)
	return common + address
}

// demandStats is what the pool counts of addresses that are asked for on demand.
type demandStats struct {
	pending int // now
	unknown int // ever: istiod has answered that there are none
}

// countUnknown counts the addresses that c needs and that r, if it was not refused, says do not exist.
func (p *Pool) countUnknown(c *client, t typ, r *response, refused error) {
	if t != wds || refused != nil || len(c.demands) == 0 {
		return
	}
	for _, name := range r.removed {
		if _, needed := c.demands[p.store.findName(wds, name)]; needed {
			p.stats.demand.unknown++
		}
	}
}

// demandsAnswered notes, after an ACK, which of the addresses that c needs have been answered.
func (p *Pool) demandsAnswered(c *client, now time.Time) {
	for name, since := range c.demands {
		if e := c.types[wds].table.find(name); e != nil && e.refs&awaiting != 0 {
			continue
		}
		delete(c.demands, name)
		p.stats.demand.pending--
		p.cfg.Stages.Record(runtime.StageDemand, max(0, now.Sub(since)), nil)
	}
}

// forgetDemands notes that c is gone, and with it the traffic that was waiting.
func (p *Pool) forgetDemands(c *client) {
	p.stats.demand.pending -= len(c.demands)
	c.demands = nil
}

// impatient reports whether c has waited too long for an address.
func (p *Pool) impatient(c *client, now time.Time) bool {
	for _, since := range c.demands {
		if now.Sub(since) >= p.patience(wds) {
			return true
		}
	}
	return false
}
