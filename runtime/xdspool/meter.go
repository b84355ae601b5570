package xdspool

import (
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/plscript/plscript/runtime"
)

// stats is what the pool counts. All of it is guarded by the pool's mutex.
type stats struct {
	class     [numClasses]classStats
	types     [numTypes]typeStats
	wasted    int
	unchanged int
	demand    demandStats
	awaited   map[answer]time.Time // since when, for subscriptions on open streams that were not answered yet
}

func newStats() stats {
	s := stats{awaited: map[answer]time.Time{}}
	for t := range s.types {
		for _, h := range []**hdrhistogram.Histogram{&s.types[t].first, &s.types[t].sync, &s.types[t].ack} {
			*h = hdrhistogram.New(1, longest, streamDigits)
		}
	}
	return s
}

type classStats struct {
	desired, open, synced                    int // now
	rejected, nacks, disconnects, reconnects int // ever
}

type typeStats struct {
	responses, resources, removed, bytes, nacks int

	first *hdrhistogram.Histogram // from the first request on a stream to the first response
	sync  *hdrhistogram.Histogram // ... until all that was asked for is answered and ACKed
	ack   *hdrhistogram.Histogram // from a response to its ACK

	fresh bool // times is of all that was recorded
	times map[string]time.Duration
}

// streamDigits is the precision of what is timed of streams: a fiftieth of the memory of three digits, times thirty.
const streamDigits = 2

// timed notes an ACK, sent at now, of a response that had come took before.
func (s *typeStats) timed(t typ, sub *subscription, now time.Time, took time.Duration) {
	s.fresh = false
	recordTimes(s.ack, took, 1)
	if !sub.complete && sub.settled(t) {
		sub.complete = true
		recordTimes(s.sync, now.Sub(sub.since), 1)
	}
}

// answer is what a client waits for after it has subscribed.
type answer struct {
	client *client
	typ    typ
}

// patience is how long a subscription may go without an answer before it counts as never answered, unless told
// otherwise. A busy istiod takes seconds.
const patience = 30 * time.Second

// secretPatience is how long Envoy's listeners wait for what they can do without. istiod refuses a secret without a word,
// and leaves initial_fetch_timeout at its 15 s so that the rest goes on (Istio pilot/pkg/security/model SDSAdsConfig); for
// everything else it sets no limit.
const secretPatience = 15 * time.Second

func (p *Pool) patience(t typ) time.Duration {
	if t == sds {
		return min(secretPatience, p.cfg.Fidelity.Patience)
	}
	return p.cfg.Fidelity.Patience
}

// giveUp has proxies go on without the secrets that have not come in time: they count as unanswered, and do not keep the
// proxy from being synced.
func (p *Pool) giveUp(now time.Time) {
	for a, since := range p.stats.awaited {
		if a.typ == sds && now.Sub(since) >= p.patience(sds) && !a.client.types[sds].gaveUp {
			a.client.types[sds].gaveUp = true
			p.updateSynced(a.client)
		}
	}
}

// watchAnswer keeps track of what c waits for in t.
func (p *Pool) watchAnswer(c *client, t typ) {
	a := answer{c, t}
	sub := &c.types[t]
	if sub.settled(t) && !sub.gaveUp || sub.onDemand && sub.answered { // single demands are another matter
		delete(p.stats.awaited, a)
	} else if _, waits := p.stats.awaited[a]; !waits {
		p.stats.awaited[a] = p.cfg.Clock.Now()
	}
}

// countResponse counts a response of c before it is acknowledged.
func (p *Pool) countResponse(c *client, t typ, r *response, done applied) {
	s := &p.stats.types[t]
	s.responses++
	s.resources += len(r.raw)
	s.removed += len(r.removed)
	s.bytes += done.bytes
	p.stats.wasted += done.wasted
	if done.unchanged {
		p.stats.unchanged++
	}
	if sub := &c.types[t]; !sub.answered {
		s.fresh = false
		recordTimes(s.first, p.cfg.Clock.Now().Sub(sub.since), 1)
	}
}

// Read implements [runtime.Meter]: it sets the measures below xds, changes and pushes.
func (p *Pool) Read(out runtime.Readings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.cfg.Clock.Now()
	p.giveUp(now)
	p.readClasses(out, now)
	p.readAddresses(out)
	p.readTypes(out)
	p.readChanges(out, now)
}

func (p *Pool) readClasses(out runtime.Readings, now time.Time) {
	var unanswered [numClasses]int
	for a, since := range p.stats.awaited {
		if now.Sub(since) >= p.patience(a.typ) {
			unanswered[a.client.class]++
		}
	}
	if p.stats.demand.pending > 0 {
		for _, c := range p.tracker.clients {
			if c != nil && p.impatient(c, now) {
				unanswered[c.class]++
			}
		}
	}
	var all classStats
	allUnanswered := 0
	for i, class := range runtime.ProxyClasses {
		s := &p.stats.class[i]
		s.read(out, "xds."+string(class), unanswered[i])
		all.desired += s.desired
		all.open += s.open
		all.synced += s.synced
		all.rejected += s.rejected
		all.nacks += s.nacks
		all.disconnects += s.disconnects
		all.reconnects += s.reconnects
		allUnanswered += unanswered[i]
	}
	all.read(out, "xds", allUnanswered)
}

func (s *classStats) read(out runtime.Readings, path string, unanswered int) {
	out[path+".desired"] = int64(s.desired)
	out[path+".open"] = int64(s.open)
	out[path+".synced"] = int64(s.synced)
	out[path+".rejected"] = int64(s.rejected)
	out[path+".nacks"] = int64(s.nacks)
	out[path+".disconnects"] = int64(s.disconnects)
	out[path+".reconnects"] = int64(s.reconnects)
	out[path+".unanswered"] = int64(unanswered)
}

func (p *Pool) readTypes(out runtime.Readings) {
	var all typeStats
	for i, t := range runtime.XDSTypes {
		s, path := &p.stats.types[i], "xds."+t.Short
		out[path+".responses"] = int64(s.responses)
		out[path+".resources"] = int64(s.resources)
		out[path+".removed"] = int64(s.removed)
		out[path+".bytes"] = int64(s.bytes)
		out[path+".nacks"] = int64(s.nacks)
		readTimes(out, path, s)
		all.responses += s.responses
		all.resources += s.resources
		all.bytes += s.bytes
	}
	out["xds.demand.pending"] = int64(p.stats.demand.pending)
	out["xds.demand.unknown"] = int64(p.stats.demand.unknown)
	out["pushes.responses"] = int64(all.responses)
	out["pushes.resources"] = int64(all.resources)
	out["pushes.bytes"] = int64(all.bytes)
	out["pushes.wasted"] = int64(p.stats.wasted)
	out["pushes.unchanged"] = int64(p.stats.unchanged)
}

// readTimes sets the times of a type, of which there may be none.
func readTimes(out runtime.Readings, path string, s *typeStats) {
	if !s.fresh {
		s.fresh, s.times = true, map[string]time.Duration{}
		percentiles := func(h *hdrhistogram.Histogram, name string) {
			if h.TotalCount() > 0 {
				v := h.ValueAtPercentilesSlice([]float64{50, 99})
				s.times[name+"P50"], s.times[name+"P99"] = micros(v[0]), micros(v[1])
			}
		}
		percentiles(s.first, "first")
		percentiles(s.sync, "sync")
		percentiles(s.ack, "ack")
		delete(s.times, "ackP50")
	}
	for name, d := range s.times {
		out[path+"."+name] = d
	}
}

func (p *Pool) readChanges(out runtime.Readings, now time.Time) {
	count, pending := 0, 0
	for _, kind := range runtime.ChangeKinds {
		k, path := p.tracker.kinds[kind], "changes."+string(kind)
		count += k.count
		pending += k.pending
		out[path+".count"] = int64(k.count)
		out[path+".pending"] = int64(k.pending)
		out[path+".unobserved"] = int64(k.unobserved)
		out[path+".pairs"] = k.pairs.TotalCount()
		at, ok := p.tracker.percentiles(kind, now)
		if !ok {
			continue
		}
		out[path+".p50"] = at.p50
		out[path+".p90"] = at.p90
		out[path+".p99"] = at.p99
		out[path+".max"] = at.max
		out[path+".firstP50"] = at.firstP50
		out[path+".lastP99"] = at.lastP99
	}
	out["changes.count"] = int64(count)
	out["changes.pending"] = int64(pending)
}

// Open returns how many streams are open.
func (p *Pool) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for i := range p.stats.class {
		n += p.stats.class[i].open
	}
	return n
}

// ProxyStatus is one proxy as the pool sees it, for comparison with istiod's syncz page.
type ProxyStatus struct {
	Key       string // namespace/name
	NodeID    string // as sent
	ProxyID   string // as syncz calls it: name.namespace
	Class     runtime.ProxyClass
	Wanted    bool
	Connected bool // a response has come on the current stream
	Synced    bool
	Types     []TypeStatus // of the current stream, in the order of subscription
}

// TypeStatus is one resource type of a proxy.
type TypeStatus struct {
	Type  string // "CDS"
	URL   string // the key of the type in syncz
	Nonce string // of the last response; "" before the first
	Acked string // the last nonce that was ACKed
	Held  int    // resources held
}

// List returns the proxies that are wanted or still connected, by key.
func (p *Pool) List() []ProxyStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]ProxyStatus, 0, len(p.members))
	for key, m := range p.members {
		s := ProxyStatus{Key: key, ProxyID: m.proxy.Name + "." + m.proxy.Namespace, Class: m.proxy.Class, Wanted: m.wanted}
		if c := m.client; c != nil {
			s.NodeID, s.Connected, s.Synced = p.cfg.nodeID(c.proxy), c.open, c.synced
			s.Types = c.typeStatus()
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b ProxyStatus) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func (c *client) typeStatus() []TypeStatus {
	var out []TypeStatus
	for _, t := range order(c.proxy.Class) {
		sub := &c.types[t]
		if !sub.active {
			continue
		}
		held := 0
		for _, e := range sub.table.entries {
			if e.content != 0 {
				held++
			}
		}
		out = append(out, TypeStatus{Type: t.String(), URL: t.url(), Nonce: sub.nonce, Acked: sub.acked, Held: held})
	}
	return out
}
