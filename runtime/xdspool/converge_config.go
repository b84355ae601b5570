package xdspool

import (
	"slices"
	"time"

	"github.com/plscript/plscript/runtime"
)

// configWatch is how a change of an object is told from the object's other generations.
type configWatch struct {
	object *object // nil: nothing is known of it, and the change ends as unobserved
	by     evidence
	gen    int
	fields map[string]bool // byWords: where the generation shows
	prints map[int]uint64  // byPrint: what each of the audience held of the object before, by slot
	anyone bool            // the first who holds it is enough, and the others are watched
	region *regionWatch    // of an object that resources do not name
	void   string          // byVoid: what the clusters are called of which there must be none
}

// evidence is what a client has to hold.
type evidence uint8

const (
	byPiece  evidence = iota // anything of the object
	byWords                  // in each resource that shows the fields, words of this generation or a later one
	byPrint                  // something else of the object than before
	byNought                 // nothing of the object
	byRegion                 // something else than before in what objects of its kind shape
	byVoid                   // nothing of a namespace
)

// anyone reports whether the first client that holds ch is enough.
func (ch *change) anyone() bool { return ch.config != nil && ch.config.anyone }

// maxOpen bounds the changes that are watched although nobody is waited for.
const maxOpen = 1024

// keepOpen goes on watching a settled change for others that come to hold it.
func (t *tracker) keepOpen(ch *change) {
	for _, x := range t.open {
		if x == ch {
			return
		}
	}
	t.open = append(t.open, ch)
	if len(t.open) > maxOpen {
		t.close(t.open[0])
	}
}

// watched reports whether ch is of interest when nobody is waited for any more.
func (ch *change) watched() bool {
	return ch.anyone() || ch.config != nil && ch.config.region != nil
}

// trackConfig starts to follow a change of an object.
func (t *tracker) trackConfig(ch *change, now time.Time) {
	w := &configWatch{object: t.store.object(ch.Change)}
	ch.config = w
	o := w.object
	switch {
	case t.kinds[ch.Kind] == nil:
		return
	case ch.Removed && ch.Config.Object.GroupKind() == "/Namespace":
		t.trackNamespace(ch)
		return
	case o == nil:
		return
	case o.region != nil:
		t.trackRegion(ch, now)
		return
	}
	created := o.fields == nil || o.gone
	switch {
	case ch.Removed:
		w.by, o.gone = byNought, true
	case created:
		o.renew(ch.Config.Fields)
		if o.key.Kind == "ServiceEntry" {
			o.murky = now.Add(t.holdOff(ch.Kind)) // its endpoints come after its clusters
		}
	case !t.trackUpdate(ch, now):
		w.object = nil
		return
	}
	w.gen = o.gen
	t.chooseAudience(ch, created && !ch.Removed)
	t.cut(ch, now)
	t.pending[ch] = struct{}{}
	o.changes = append(o.changes, ch)
}

// trackUpdate finds how the next generation of an object can be told from the one before, and reports whether it can. By
// the print of its pieces it can only if no other change is on the way: which of two a new print is of, nobody could say.
func (t *tracker) trackUpdate(ch *change, now time.Time) bool {
	w := ch.config
	o := w.object
	telling, changed := o.renew(ch.Config.Fields)
	if len(telling) > 0 {
		w.by, w.fields = byWords, telling
		return true
	}
	if !changed {
		return false
	}
	if o.murky.After(now) || slices.ContainsFunc(o.changes, func(other *change) bool { return !other.settled }) {
		o.murky = now.Add(t.holdOff(ch.Kind))
		return false
	}
	w.by, w.prints = byPrint, map[int]uint64{}
	return true
}

// chooseAudience fixes who is watched: for a new object those that ch says, or else whoever may come to hold it; otherwise
// those that hold it now.
func (t *tracker) chooseAudience(ch *change, created bool) {
	w := ch.config
	said := ch.Config.Audience
	w.anyone = created && said == nil
	for _, c := range t.clients {
		if c == nil || !c.open || said != nil && !said(c.proxy) {
			continue
		}
		if created {
			if said == nil && !concerns(ch.Config.Object, c.proxy.Class) {
				continue
			}
		} else {
			seen := c.sees(t.store, w)
			if seen.now+seen.before == 0 {
				continue
			}
			if w.prints != nil {
				if o := w.object; o.key.Kind == "ServiceEntry" && c.proxy.Class == runtime.ClassZtunnel {
					continue // it knows a service by its ports alone
				}
				w.prints[c.slot] = seen.print
			}
		}
		ch.waiting.add(c.slot)
		ch.left++
	}
	if w.anyone {
		ch.left = min(ch.left, 1)
	}
}

// concerns reports whether proxies of a class get an object at all. ztunnel knows policies and services.
func concerns(key runtime.ObjectKey, c runtime.ProxyClass) bool {
	switch key.Kind {
	case "AuthorizationPolicy", "Service", "ServiceEntry":
		return true
	}
	return c != runtime.ClassZtunnel
}

// sight is what a client sees of an object.
type sight struct {
	now    int    // resources that show the wanted generation or a later one
	before int    // resources that show one before
	print  uint64 // of all pieces
}

// sees finds what c sees of the object of w.
func (c *client) sees(s *store, w *configWatch) sight {
	var out sight
	for name, of := range w.object.holds {
		e := c.types[s.names[name].key.typ].table.find(name)
		if e == nil {
			continue
		}
		h, ok := of[e.content]
		if !ok {
			continue
		}
		out.print += h.print
		switch {
		case w.by != byWords:
			out.now++
		case h.newest(w.fields) >= w.gen:
			out.now++
		case h.newest(w.fields) >= 0:
			out.before++
		}
	}
	return out
}

// newest is the last generation that has a word of its own in one of the fields; -1 if none of them shows.
func (h hit) newest(fields map[string]bool) int {
	gen := -1
	for _, w := range h.words {
		if fields[w.path] {
			gen = max(gen, w.gen)
		}
	}
	return gen
}

// lookConfig finds out whether c holds ch now.
func (t *tracker) lookConfig(ch *change, c *client, now time.Time) {
	w := ch.config
	if w.region != nil {
		t.lookRegion(ch, c, now)
		return
	}
	seen := c.sees(t.store, w)
	nothing := seen.now+seen.before == 0
	held, lost := false, false
	switch {
	case ch.superseded && (nothing || ch.Removed):
		held = true // it holds what came of the later change, or never knew the difference
	case w.by == byNought:
		held = nothing
	case w.by == byPiece:
		held = seen.now > 0
	case w.by == byWords:
		held, lost = seen.now > 0 && seen.before == 0, nothing
	case w.by == byPrint:
		held, lost = !nothing && seen.print != w.prints[c.slot], nothing
	}
	switch {
	case held:
		t.hold(ch, c, now)
	case lost:
		t.drop(ch, c) // it ceased to hold anything of the object, for reasons of its own
	}
}
