package xdspool

import (
	"slices"
	"time"

	"github.com/plscript/plscript/runtime"
)

// regionWatch is how a change of an object that resources do not name is looked for.
type regionWatch struct {
	parts  []part         // byRegion: those of the region in which nothing else is on its way
	prints map[int]uint64 // byRegion: of what each of the audience held of them before, by slot
	last   typ            // see last
	passed slotSet        // who has had a response of that type since, which did not show the change
	sure   bool           // it will show, as earlier generations did: no response stands for there being no effect
}

// shadow stands for a change that could not be told from others on their way. Until it must have arrived, no change of the
// same parts can be told from it.
type shadow struct {
	parts []part
	slots slotSet
	until time.Time
}

// shortest is the least time for which a change that cannot be told from others is taken to be on its way.
const shortest = 500 * time.Millisecond

// holdOff is how long a change of a kind is taken to be on its way: twice as long as the slowest so far took.
func (t *tracker) holdOff(k runtime.ChangeKind) time.Duration {
	return max(shortest, 2*micros(t.kinds[k].pairs.Max()))
}

// trackRegion starts to follow a change of an object that resources do not name: by the words that come out as they are, or
// by what its region is, if nothing else on its way to the same proxies shapes that.
func (t *tracker) trackRegion(ch *change, now time.Time) {
	w := ch.config
	o := w.object
	before, created := o.fields, (o.fields == nil || o.gone) && !ch.Removed
	var telling map[string]bool
	changed := true
	if ch.Removed {
		o.gone = true
	} else {
		telling, changed = o.renew(ch.Config.Fields)
		t.store.indexTexts(o, telling)
	}
	w.gen = o.gen
	if !changed && !created {
		w.object = nil
		return
	}
	t.chooseScope(ch, before, created)
	t.cut(ch, now)
	w.region = &regionWatch{parts: t.unshaped(ch, now), last: last(o.region.parts)}
	switch {
	case len(telling) > 0 && !created:
		w.by, w.fields, w.region.sure = byWords, telling, true
	case ch.Removed && t.waitForWords(ch):
		w.by = byNought
	case len(w.region.parts) > 0:
		w.by, w.region.prints = byRegion, map[int]uint64{}
		for slot := range ch.waiting.all() {
			w.region.prints[slot] = t.clients[slot].print(t.store, w.region.parts)
		}
	case created && len(o.words) > 0:
		w.by, w.fields = byWords, o.wordFields()
	default:
		t.shadows = append(t.shadows, shadow{o.region.parts, ch.waiting, now.Add(t.holdOff(ch.Kind))})
		w.object, w.region, w.anyone, ch.waiting, ch.left = nil, nil, false, nil, 0
		return
	}
	t.pending[ch] = struct{}{}
	t.regional = append(t.regional, ch)
	o.changes = append(o.changes, ch)
}

// waitForWords has those waited for who show words of the object, and reports whether there are any.
func (t *tracker) waitForWords(ch *change) bool {
	var shown slotSet
	n := 0
	for slot := range ch.waiting.all() {
		if t.clients[slot].sees(t.store, ch.config).now > 0 {
			shown.add(slot)
			n++
		}
	}
	if n > 0 {
		ch.waiting, ch.left, ch.config.anyone = shown, n, false
	}
	return n > 0
}

// chooseScope fixes who is watched: for a new object those that the change says, or else whoever istiod may give it to, of
// which the first is enough; otherwise those that were seen to get it, or if that is none again the first of all.
func (t *tracker) chooseScope(ch *change, before map[string]any, created bool) {
	w, o := ch.config, ch.config.object
	said := ch.Config.Audience
	var scope, movers slotSet
	for _, c := range t.clients {
		if c == nil || !c.configured() || said != nil && !said(c.proxy) {
			continue
		}
		if said == nil && !o.region.covers(o.key, o.fields, c.proxy) && !(before != nil && o.region.covers(o.key, before, c.proxy)) {
			continue
		}
		scope.add(c.slot)
		if o.movers.has(c.slot) {
			movers.add(c.slot)
		}
	}
	w.anyone = said == nil
	ch.waiting = scope
	if !created && !movers.empty() {
		w.anyone, ch.waiting = false, movers
	}
	for range ch.waiting.all() {
		ch.left++
	}
	if w.anyone {
		ch.left = min(ch.left, 1)
	}
}

// configured reports whether c has got its first configuration, so that what comes from now on is a change of it.
func (c *client) configured() bool { return c.open && c.types[cds].answered && c.types[lds].answered }

// unshaped are the parts of the region of ch that nothing else shapes which is on its way to somebody who waits for ch.
func (t *tracker) unshaped(ch *change, now time.Time) []part {
	parts := slices.Clone(ch.config.object.region.parts)
	for other := range t.pending {
		if other == ch || other.config == nil || !t.underWay(other, now) || !other.waiting.meets(ch.waiting) {
			continue
		}
		parts = slices.DeleteFunc(parts, other.shapes)
	}
	t.shadows = slices.DeleteFunc(t.shadows, func(s shadow) bool { return s.until.Before(now) })
	for _, s := range t.shadows {
		if s.slots.meets(ch.waiting) {
			parts = slices.DeleteFunc(parts, func(p part) bool { return slices.ContainsFunc(s.parts, p.shapedBy) })
		}
	}
	return parts
}

// underWay reports whether somebody may still be about to get ch.
func (t *tracker) underWay(ch *change, now time.Time) bool {
	return !ch.settled || ch.pairs > 0 && now.Sub(ch.Scheduled) < t.holdOff(ch.Kind)
}

// cut ends the watch for changes that ch can be mistaken for, of those for which nobody waits any more: changes of the same
// parts, and where ch is of a Sidecar, which shows proxies what they could not see before, objects that arrived long ago.
func (t *tracker) cut(ch *change, now time.Time) {
	reveals := ch.Config.Object.Kind == "Sidecar"
	for _, other := range slices.Clone(t.open) {
		shaped := other.config.by == byRegion && slices.ContainsFunc(other.config.region.parts, ch.shapes)
		if !shaped && (!reveals || other.config.region != nil || t.underWay(other, now)) {
			continue
		}
		for slot := range other.waiting.all() {
			if ch.waiting.has(slot) && !other.over {
				t.drop(other, t.clients[slot])
			}
		}
	}
}

// shapes reports whether ch may change a part.
func (ch *change) shapes(p part) bool {
	if o := ch.config.object; o != nil && o.region != nil {
		return slices.ContainsFunc(o.region.parts, p.shapedBy)
	}
	whole := p.aspect == aspectAll
	switch ch.Kind {
	case runtime.ChangeRoute:
		return whole && p.typ != cds || p.aspect == aspectDomains
	case runtime.ChangeCluster:
		return whole || p.aspect == aspectNames && ch.Config.Object.Kind != "DestinationRule"
	}
	return whole && p.typ != cds && p.typ != rds
}

// shapedBy reports whether a change of another part changes p. An EnvoyFilter may change everything, but hardly what other
// kinds are for.
func (p part) shapedBy(other part) bool {
	return p.typ == other.typ && (p.aspect == other.aspect || p.aspect == aspectAll)
}

// lookRegion finds out whether c holds ch now.
func (t *tracker) lookRegion(ch *change, c *client, now time.Time) {
	w := ch.config
	held := false
	switch {
	case ch.superseded:
		t.drop(ch, c)
		return
	case w.by == byWords:
		seen := c.sees(t.store, w)
		held = seen.now > 0 && seen.before == 0
	case w.by == byNought:
		held = c.sees(t.store, w).now == 0
	case w.by == byVoid:
		held = !c.knows(t.store, w.void)
	default:
		held = c.print(t.store, w.region.parts) != w.region.prints[c.slot]
	}
	if !held {
		return
	}
	if o := w.object; o != nil && ch.Removed {
		o.movers.remove(c.slot)
	} else if o != nil {
		o.movers.add(c.slot)
	}
	t.hold(ch, c, now)
}

// touchRegions adds to touched the changes that c waits for and that a response of type typ may show.
func (t *tracker) touchRegions(c *client, typ typ, touched []*change) []*change {
	switch typ {
	case cds, lds, rds, ecds:
	default:
		return touched // no region has a part in them
	}
	for _, ch := range t.regional {
		if ch.waiting.has(c.slot) && !slices.Contains(touched, ch) {
			touched = append(touched, ch)
		}
	}
	return touched
}

// arrived looks for ch in what c has acknowledged, a response of type typ. If that was the last of its push which could
// show the change, and did not, the change may well have no effect on c; and once that holds for all, nobody waits for it any
// more. Should it show after all, it counts from then on, with the time that it took.
func (t *tracker) arrived(ch *change, c *client, typ typ, now time.Time) {
	t.look(ch, c, now)
	if ch.over || !ch.written || ch.config == nil || ch.config.region == nil || ch.config.region.sure {
		return
	}
	w := ch.config.region
	if ch.waiting.has(c.slot) && typ == w.last {
		if ch.settled && ch.pairs > 0 {
			t.drop(ch, c)
			return
		}
		w.passed.add(c.slot)
	}
	if !ch.settled && w.passed.contains(ch.waiting) {
		ch.left = 0
		t.finish(ch)
	}
}
