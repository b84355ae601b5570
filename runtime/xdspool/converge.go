package xdspool

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plscript/plscript/runtime"
)

// tracker follows pending changes to the clients that have to hold them. What is left of a change that all of them hold
// is three counts in histograms.
type tracker struct {
	store    *store
	workload func(string) string // the name of the Address resource of a pod
	clients  []*client           // by slot; nil where the slot is free
	free     []int
	pending  map[*change]struct{}
	byMarker map[ip][]*change
	open     []*change // settled and still watched, oldest first
	regional []*change // pending, of objects that resources do not name
	shadows  []shadow
	order    uint64
	kinds    map[runtime.ChangeKind]*convergence
}

// change is a tracked change that somebody may be waiting for.
type change struct {
	runtime.Change
	marker     ip
	order      uint64 // of Track
	seen       uint64 // see applier.touch
	watches    []*watchpoint
	workload   nameID       // the reference to the workload's name, or 0
	config     *configWatch // what to look for instead, of a change of an object
	waiting    slotSet      // the audience that does not hold it yet
	left       int          // how many of these it takes: all, or the first
	written    bool
	settled    bool // nobody else is waited for
	superseded bool // an opposite change of the same marker was written after it
	over       bool

	early       []time.Duration // held before the write was answered
	pairs       int
	first, last time.Duration
}

func newTracker(s *store, workload func(string) string) *tracker {
	t := &tracker{
		store:    s,
		workload: workload,
		pending:  map[*change]struct{}{},
		byMarker: map[ip][]*change{},
		kinds:    map[runtime.ChangeKind]*convergence{},
	}
	for _, k := range runtime.ChangeKinds {
		t.kinds[k] = newConvergence()
	}
	return t
}

// join gives c a slot.
func (t *tracker) join(c *client) {
	if n := len(t.free); n > 0 {
		c.slot, t.free = t.free[n-1], t.free[:n-1]
		t.clients[c.slot] = c
		return
	}
	c.slot = len(t.clients)
	t.clients = append(t.clients, c)
}

// leave takes c out of every audience: its proxy is gone because plscript took it away.
func (t *tracker) leave(c *client) {
	for ch := range t.pending {
		if ch.waiting.has(c.slot) {
			t.drop(ch, c)
		}
	}
	for _, o := range t.store.objects {
		o.movers.remove(c.slot) // it will be another's
	}
	t.clients[c.slot] = nil
	t.free = append(t.free, c.slot)
}

// track starts to follow c. The audience is the open clients that are subscribed to one of its resources.
func (t *tracker) track(c runtime.Change, now time.Time) *change {
	t.order++
	ch := &change{Change: c, order: t.order}
	if c.Config != nil {
		t.trackConfig(ch, now)
		return ch
	}
	addr, err := netip.ParseAddr(c.Marker)
	if err != nil || t.kinds[c.Kind] == nil {
		return ch // no proxy can hold what is no address: it ends as unobserved
	}
	ch.marker = addr.As16()
	for _, h := range c.Hosts {
		if w := t.store.hosts[h]; w != nil {
			ch.watches = append(ch.watches, w)
		}
	}
	if c.Workload != "" {
		ch.workload = t.store.name(wds, []byte(t.workload(c.Workload)))
		rec := &t.store.names[ch.workload]
		if rec.watch == nil {
			rec.watch = &watchpoint{typ: wds, names: []nameID{ch.workload}}
		}
		ch.watches = append(ch.watches, rec.watch)
	}
	for _, c := range t.clients {
		if c != nil && c.open && slices.ContainsFunc(ch.watches, c.subscribed) {
			ch.waiting.add(c.slot)
			ch.left++
		}
	}
	for _, w := range ch.watches {
		w.changes = append(w.changes, ch)
	}
	t.pending[ch] = struct{}{}
	t.byMarker[ch.marker] = append(t.byMarker[ch.marker], ch)
	return ch
}

// write notes that the api-server accepted ch.
func (t *tracker) write(ch *change, now time.Time) {
	k := t.kinds[ch.Kind]
	if ch.written || ch.over {
		return
	}
	if k == nil {
		ch.converged()
		return
	}
	ch.written = true
	k.count++
	k.pending++
	for _, d := range ch.early {
		k.record(k.pairs, d)
	}
	ch.early = nil
	if ch.config != nil && ch.config.by == byVoid {
		t.endNamespace(ch, now)
	}
	for _, earlier := range t.rivals(ch) {
		switch {
		case earlier.order >= ch.order:
		case earlier.opposite(ch):
			t.supersede(earlier, now)
		case ch.config != nil:
			t.lookAll(earlier, now) // what a proxy holds may be what the object has come back to
		}
	}
	t.lookAll(ch, now)
	t.finish(ch)
}

// supersede notes that ch was undone.
func (t *tracker) supersede(ch *change, now time.Time) {
	ch.superseded = true
	if ch.watched() {
		ch.left = 0 // who has not got it by now never will
		t.finish(ch)
		return
	}
	t.lookAll(ch, now)
}

// rivals are the changes that ch may undo.
func (t *tracker) rivals(ch *change) []*change {
	if ch.config == nil {
		return slices.Clone(t.byMarker[ch.marker])
	}
	if ch.config.object == nil {
		return nil
	}
	return slices.Clone(ch.config.object.changes)
}

// cancel forgets a change that was never written.
func (t *tracker) cancel(ch *change) {
	if !ch.written && !ch.over {
		t.end(ch)
		ch.converged()
	}
}

// converged tells who wants to know that ch is over or that its audience holds it. It is told once.
func (ch *change) converged() {
	if f := ch.Converged; f != nil {
		ch.Converged = nil
		f(ch.last, ch.pairs > 0)
	}
}

// opposite reports whether the later change undoes ch.
func (ch *change) opposite(later *change) bool {
	if ch.Kind != later.Kind || ch.Removed == later.Removed {
		return false
	}
	if ch.config != nil {
		return true // they are of the same object
	}
	if ch.Workload != "" && ch.Workload == later.Workload {
		return true
	}
	return slices.ContainsFunc(ch.Hosts, func(h string) bool { return slices.Contains(later.Hosts, h) })
}

func (t *tracker) lookAll(ch *change, now time.Time) {
	for slot := range ch.waiting.all() {
		t.look(ch, t.clients[slot], now)
	}
}

// look finds out whether c holds ch now.
func (t *tracker) look(ch *change, c *client, now time.Time) {
	if ch.over || !ch.waiting.has(c.slot) {
		return
	}
	if ch.config != nil {
		t.lookConfig(ch, c, now)
		return
	}
	with, without := 0, 0
	for _, w := range ch.watches {
		c.count(t.store, w, ch.marker, &with, &without)
	}
	switch {
	case ch.superseded && (with == 0 || without == 0),
		ch.Removed && with == 0,
		!ch.Removed && without == 0 && with > 0:
		t.hold(ch, c, now)
	case !ch.Removed && with+without == 0:
		t.drop(ch, c) // the service is gone, and the client has nothing left to hold the address in
	}
}

// subscribed reports whether c is subscribed to a resource of w.
func (c *client) subscribed(w *watchpoint) bool {
	sub := &c.types[w.typ]
	if !sub.byName(w.typ) {
		return sub.active
	}
	return slices.ContainsFunc(w.names, func(n nameID) bool { return sub.table.find(n) != nil })
}

// count adds up how many of the resources of w that c is subscribed to list the marker, and how many do not.
func (c *client) count(s *store, w *watchpoint, marker ip, with, without *int) {
	sub := &c.types[w.typ]
	for _, n := range w.names {
		e := sub.table.find(n)
		switch {
		case e != nil && s.holds(e.content, marker):
			*with++
		case e != nil || !sub.byName(w.typ) && sub.started:
			*without++
		}
	}
}

// hold notes that c holds ch since now.
func (t *tracker) hold(ch *change, c *client, now time.Time) {
	d := max(0, now.Sub(ch.Scheduled))
	if ch.pairs == 0 || d < ch.first {
		ch.first = d
	}
	ch.last = max(ch.last, d)
	ch.pairs++
	if ch.settled && ch.pairs == 1 { // it was given up as without effect
		k := t.kinds[ch.Kind]
		k.unobserved--
		k.record(k.first, d)
	}
	if ch.written {
		k := t.kinds[ch.Kind]
		k.record(k.pairs, d)
	} else {
		ch.early = append(ch.early, d)
	}
	if ch.anyone() {
		ch.left = 0
	}
	t.drop(ch, c)
}

// drop takes c out of those that ch waits for.
func (t *tracker) drop(ch *change, c *client) {
	ch.waiting.remove(c.slot)
	if !ch.anyone() {
		ch.left--
	} else if ch.waiting.empty() {
		ch.left = 0
	}
	t.finish(ch)
}

// finish settles ch if nobody is left, and ends it if nobody is watched any more.
func (t *tracker) finish(ch *change) {
	if !ch.written || ch.left > 0 || ch.over {
		return
	}
	k := t.kinds[ch.Kind]
	if !ch.settled {
		ch.settled = true
		k.pending--
		k.cached = nil
		if ch.pairs == 0 {
			k.unobserved++
		} else {
			k.record(k.first, ch.first)
		}
		ch.converged()
	}
	if ch.watched() && !ch.superseded && !ch.waiting.empty() {
		t.keepOpen(ch)
		return
	}
	t.close(ch)
}

// close ends a settled change.
func (t *tracker) close(ch *change) {
	if k := t.kinds[ch.Kind]; ch.pairs > 0 {
		k.record(k.last, ch.last)
	}
	t.end(ch)
}

// end takes ch out of every index.
func (t *tracker) end(ch *change) {
	ch.over = true
	delete(t.pending, ch)
	remove := func(list []*change) []*change {
		return slices.DeleteFunc(list, func(x *change) bool { return x == ch })
	}
	if ch.config != nil {
		t.open, t.regional = remove(t.open), remove(t.regional)
		if o := ch.config.object; o != nil {
			o.changes = remove(o.changes)
			t.store.forgetObject(o)
		}
		return
	}
	if rest := remove(t.byMarker[ch.marker]); len(rest) > 0 {
		t.byMarker[ch.marker] = rest
	} else {
		delete(t.byMarker, ch.marker)
	}
	for _, w := range ch.watches {
		w.changes = remove(w.changes)
		t.store.forgetHost(w)
	}
	if ch.workload != 0 {
		if w := t.store.names[ch.workload].watch; len(w.changes) == 0 {
			t.store.names[ch.workload].watch = nil
		}
		t.store.dropName(ch.workload)
	}
}
