package xdspool

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The steps of a stream's life. Each takes the pool's mutex for as long as it works on the tables, and returns what has
// to be sent.

// begin starts a stream of c and returns its first requests: everything it was subscribed to before, with the versions
// it holds, or else what its class starts with.
func (p *Pool) begin(c *client, s *call) []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return nil
	}
	c.now = s
	for t := range c.types {
		c.types[t].reset()
		if !typ(t).wildcard() {
			p.applier.restart(&c.types[t])
		}
	}
	var out []request
	for _, t := range order(c.proxy.Class) {
		sub := &c.types[t]
		switch {
		case sub.started && t == lds:
			out = append(out, p.listeners(c)...)
		case t == nds: // comes with the listeners
		case sub.started && (t.wildcard() || len(sub.table.entries) > 0), c.startsWith(t):
			out = append(out, p.subscribe(c, t))
		}
	}
	return out
}

// startsWith reports whether t is asked for on c's first stream before anything has come. Envoy begins with its clusters,
// and with listeners once these have their endpoints (Envoy source/server/server.cc, RunHelper); its workload discovery
// is an extension of its own and waits for nobody. All that ztunnel has is asked for at once (ztunnel src/xds/client.rs).
func (c *client) startsWith(t typ) bool {
	switch t {
	case cds, wds, wads:
		return true
	case workloads:
		return c.discovers
	}
	return false
}

// listeners returns the first LDS request of a stream and what the agent adds once it sees it: a request for its name
// table if it captures DNS, then its last health report (Istio pkg/istio-agent/xds_proxy_delta.go
// handleUpstreamDeltaRequest).
func (p *Pool) listeners(c *client) []request {
	out := []request{p.subscribe(c, lds)}
	if c.capturesDNS {
		out = append(out, p.subscribe(c, nds))
	}
	if c.proxy.Probed {
		out = append(out, request{url: healthURL})
	}
	return out
}

// subscribe returns the first request of a type on a stream.
func (p *Pool) subscribe(c *client, t typ) request {
	sub := &c.types[t]
	sub.started, sub.active, sub.since = true, true, p.cfg.Clock.Now()
	p.watchAnswer(c, t)
	r := request{url: t.url()}
	if c.state {
		r.add, r.accepted = p.asked(sub, t), sub.version
		return r
	}
	if sub.onDemand {
		// XDS knows no subscription to nothing but one that is given up in the same request. What was asked for before is
		// among what is held, with no version until it comes (ztunnel src/xds/client.rs, construct_initial_request and
		// add_pending_resource).
		r.add, r.del = []string{"*"}, []string{"*"}
	}
	for i := range sub.table.entries {
		e := &sub.table.entries[i]
		name := p.store.names[e.name].key.name
		if !t.wildcard() {
			r.add = append(r.add, name)
		}
		switch {
		case e.content != 0 && t.versioned():
			r.held = append(r.held, held{name, p.store.contents[e.content].key.version})
		case sub.onDemand:
			r.held = append(r.held, held{name: name})
		}
	}
	return r
}

// asked is all that is asked for by name in t.
func (p *Pool) asked(sub *subscription, t typ) []string {
	if t.wildcard() {
		return nil
	}
	names := make([]string, len(sub.table.entries))
	for i, e := range sub.table.entries {
		names[i] = p.store.names[e.name].key.name
	}
	return names
}

// reply is what a response leads to.
type reply struct {
	typ      typ
	requests []request // in this order; the last one is the ACK or NACK
	refused  error     // why it is a NACK
	nonce    string
	touched  []*change
}

// errOnRequest is the reason of a NACK that the scenario asked for.
var errOnRequest = errors.New("refused because the load test asks for it")

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
	out := reply{typ: t, requests: r.requests[:0], nonce: sub.nonce, refused: scanErr}
	if q := p.cfg.Fidelity.Refuse[runtime.XDSTypes[t].Short]; q > 0 && p.cfg.Rand.Float64() < q {
		out.refused = errOnRequest
	}
	var done applied
	if out.refused == nil {
		done, out.refused = p.applier.apply(c, t, r)
		for _, names := range done.requests {
			out.requests = append(out.requests, p.resubscribe(c, names))
		}
	}
	if out.refused == nil {
		out.touched = p.tracker.touchRegions(c, t, done.touched)
	}
	p.countUnknown(c, t, r, out.refused)
	p.countResponse(c, t, r, done)
	// Envoy asks for what a response refers to while it applies it, hence before the ACK.
	out.requests = append(out.requests, p.acknowledge(c, t, r, out.refused))
	p.watchAnswer(c, t)
	return out, true
}

// acknowledge returns the ACK of r, or if it is refused the NACK.
func (p *Pool) acknowledge(c *client, t typ, r *response, refused error) request {
	sub := &c.types[t]
	ack := request{url: t.url(), nonce: sub.nonce}
	if refused != nil {
		p.stats.class[c.class].nacks++
		p.stats.types[t].nacks++
		ack.refused = strings.ToValidUTF8(refused.Error(), "?")
	} else {
		sub.answered = true
		sub.version = string(r.version)
	}
	if c.state {
		ack.add, ack.accepted = p.asked(sub, t), sub.version
	}
	return ack
}

// resubscribe returns the request for a change of what is asked for by name, which a response led to.
func (p *Pool) resubscribe(c *client, names resubscription) request {
	sub := &c.types[names.typ]
	if sub.gaveUp && len(names.add) > 0 {
		sub.gaveUp = false
	}
	if !sub.active {
		sub.since = p.cfg.Clock.Now()
	}
	sub.started, sub.active = true, true
	p.watchAnswer(c, names.typ)
	r := request{url: names.typ.url(), add: names.add, del: names.del}
	if c.state {
		r.add, r.del = p.asked(sub, names.typ), nil
		r.nonce, r.accepted = sub.nonce, sub.version
	}
	return r
}

// replied notes that the requests of r were sent, and returns what comes next in the order of c's proxy. received is
// when the response had come.
func (p *Pool) replied(c *client, r *reply, received time.Time) []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return nil
	}
	now := p.cfg.Clock.Now()
	if sub := &c.types[r.typ]; r.refused == nil {
		sub.acked = r.nonce
		p.stats.types[r.typ].timed(r.typ, sub, now, now.Sub(received))
		p.demandsAnswered(c, now)
	}
	var next []request
	if c.listenersDue() {
		next = p.listeners(c)
	}
	for _, ch := range r.touched {
		p.tracker.arrived(ch, c, r.typ, now)
	}
	p.updateSynced(c)
	return next
}

// listenersDue reports whether it is time for the first LDS request: all clusters have their endpoints.
func (c *client) listenersDue() bool {
	return c.types[cds].answered && !c.types[lds].active && c.types[eds].settled(eds)
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

// ended notes that the stream of c is over because of err; c goes on to hold what it holds.
func (p *Pool) ended(c *client, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return
	}
	switch {
	case status.Code(err) == codes.ResourceExhausted:
		p.stats.class[c.class].rejected++
	case c.open && !errors.Is(err, errBroken):
		p.stats.class[c.class].disconnects++
	}
	p.shut(c)
}
