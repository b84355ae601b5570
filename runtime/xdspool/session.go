package xdspool

import (
	"slices"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// The steps of a stream's life. Each takes the pool's mutex for as long as it works on the tables, and returns what has
// to be sent.

// begin starts a stream of c and returns its first requests: everything it was subscribed to before, with the versions
// it holds, or else what its class starts with.
func (p *Pool) begin(c *client) []*discovery.DeltaDiscoveryRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return nil
	}
	var out []*discovery.DeltaDiscoveryRequest
	for _, t := range order(c.proxy.Class) {
		sub := &c.types[t]
		sub.restart(t)
		// Envoy begins with its clusters, and with listeners once these have their endpoints (Envoy
		// source/server/server.cc, RunHelper). All that ztunnel has is asked for at once (ztunnel src/xds/client.rs).
		again := sub.started && (t.wildcard() || len(sub.table) > 0)
		if again || t == cds || t == wds || t == wads {
			out = append(out, p.subscribe(c, t))
		}
	}
	return out
}

// subscribe returns the first request of a type on a stream.
func (p *Pool) subscribe(c *client, t typ) *discovery.DeltaDiscoveryRequest {
	sub := &c.types[t]
	sub.started, sub.active = true, true
	p.watchAnswer(c, t)
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: t.url()}
	for _, e := range sub.table {
		name := p.store.names[e.name].key.name
		if !t.wildcard() {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
		}
		if e.content != 0 {
			if req.InitialResourceVersions == nil {
				req.InitialResourceVersions = make(map[string]string, len(sub.table))
			}
			req.InitialResourceVersions[name] = p.store.contents[e.content].key.version
		}
	}
	return req
}

// reply is what a response leads to.
type reply struct {
	typ      typ
	requests []*discovery.DeltaDiscoveryRequest // in this order; the last one is the ACK or NACK
	refused  error                              // why it is a NACK
	nonce    string
	touched  []*change
}

// receive works r into what c holds; scanErr is what was wrong with its wire format. It returns false if nothing is to
// be sent: the response is of no type that c knows, or c is closed.
func (p *Pool) receive(c *client, r *response, scanErr error) (reply, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := typeOf(r.typeURL)
	if c.closed || !known || !c.types[t].active {
		return reply{}, false
	}
	p.opened(c)
	sub := &c.types[t]
	sub.nonce = string(r.nonce)
	out := reply{typ: t, nonce: sub.nonce, refused: scanErr}
	p.countResponse(t, r)
	if scanErr == nil {
		var done applied
		done, out.refused = p.applier.apply(c, t, r)
		out.touched = done.touched
		p.stats.wasted += done.wasted
		for _, names := range done.requests {
			out.requests = append(out.requests, p.resubscribe(c, names))
		}
	}
	ack := &discovery.DeltaDiscoveryRequest{TypeUrl: t.url(), ResponseNonce: sub.nonce}
	if out.refused != nil {
		p.stats.class[c.class].nacks++
		p.stats.types[t].nacks++
		ack.ErrorDetail = &status.Status{Code: int32(codes.Internal), Message: out.refused.Error()}
	} else {
		sub.answered = true
	}
	// Envoy asks for what a response refers to while it applies it, hence before the ACK.
	out.requests = append(out.requests, ack)
	p.watchAnswer(c, t)
	return out, true
}

// resubscribe returns the request for a change of what is asked for by name, which a response led to.
func (p *Pool) resubscribe(c *client, names resubscription) *discovery.DeltaDiscoveryRequest {
	sub := &c.types[names.typ]
	sub.started, sub.active = true, true
	p.watchAnswer(c, names.typ)
	return &discovery.DeltaDiscoveryRequest{
		TypeUrl:                  names.typ.url(),
		ResourceNamesSubscribe:   names.add,
		ResourceNamesUnsubscribe: names.del,
	}
}

// replied notes that the requests of r were sent, and returns what comes next in the order of c's proxy.
func (p *Pool) replied(c *client, r *reply) []*discovery.DeltaDiscoveryRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return nil
	}
	if r.refused == nil {
		c.types[r.typ].acked = r.nonce
	}
	var next []*discovery.DeltaDiscoveryRequest
	if c.listenersDue() {
		next = append(next, p.subscribe(c, lds))
	}
	now := p.cfg.Clock.Now()
	for _, ch := range r.touched {
		p.tracker.look(ch, c, now)
	}
	p.updateSynced(c)
	return next
}

// listenersDue reports whether it is time for the first LDS request: all clusters have their endpoints.
func (c *client) listenersDue() bool {
	return c.types[cds].answered && !c.types[lds].started && c.types[eds].settled(eds)
}

// isSynced reports whether, on the current stream, every type c subscribes to has been answered and its last nonce
// ACKed, and there is no type left to start with.
func (c *client) isSynced() bool {
	if !c.open || c.types[cds].active && !c.types[lds].active {
		return false
	}
	return !slices.ContainsFunc(order(c.proxy.Class), func(t typ) bool {
		sub := &c.types[t]
		return sub.active && (!sub.settled(t) || sub.nonce != sub.acked)
	})
}

// ended notes that the stream of c is over; c goes on to hold what it holds.
func (p *Pool) ended(c *client, refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return
	}
	if refused {
		p.stats.class[c.class].rejected++
	} else if c.open {
		p.stats.class[c.class].disconnects++
	}
	p.shut(c)
}
