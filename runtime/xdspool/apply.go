package xdspool

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// applied is what a response did to a client.
type applied struct {
	requests  []resubscription // what to ask for because of it, and what no more
	touched   []*change        // pending changes of the resources in it
	wasted    int              // resources whose content was held already
	unchanged bool             // nothing was new
	bytes     int              // of the resources
}

// resubscription is a change in what is asked for by name.
type resubscription struct {
	typ      typ
	add, del []string
}

// applier works one response after the other into the tables of clients. Its scratch space is shared by all.
type applier struct {
	store    *store
	round    uint64 // numbers the responses
	contents []contentID
	names    []nameID
	sorted   []nameID // names, each once
	missing  []nameID
	refs     []refChange
	sum      []byte
}

// refChange is by how much the number of references to a resource changes.
type refChange struct {
	dep
	by int
}

// apply makes c hold what r, a response of type t, says. If a resource in it is broken, nothing changes and an error is
// returned.
func (a *applier) apply(c *client, t typ, r *response) (applied, error) {
	var out applied
	a.round++
	sub := &c.types[t]
	kind := stepDelta
	switch {
	case r.state:
		kind = stepState
	case sub.onDemand:
		kind = stepLoose
	}
	e, err := a.store.follow(sub.table, step{kind, r.sum}, func() ([]entry, *edge, error) {
		return a.respond(sub.table, t, r, kind)
	})
	a.letGo() // now that a table holds them
	if err != nil {
		return out, err
	}
	out.wasted, out.unchanged, out.bytes = e.wasted, e.unchanged, e.bytes
	a.move(sub, e, e.names, &out)
	for refs := e.refs; len(refs) > 0; {
		n := 1
		for n < len(refs) && refs[n].typ == refs[0].typ {
			n++
		}
		a.refer(c, refs[:n], &out)
		refs = refs[n:]
	}
	return out, nil
}

// move puts a client from its table to another. The changes that are looked for in names are noted while both hold what
// they name.
func (a *applier) move(sub *subscription, e *edge, names []nameID, out *applied) {
	a.store.hold(e.to)
	for _, n := range names {
		a.touch(n, out)
	}
	if len(a.store.objects) > 0 {
		for _, id := range e.contents {
			a.touchObjects(id, out)
		}
	}
	a.store.release(sub.table)
	sub.table = e.to
}

// touch notes the pending changes that are looked for in the resource n.
func (a *applier) touch(n nameID, out *applied) {
	if w := a.store.names[n].watch; w != nil {
		a.touchChanges(w.changes, out)
	}
}

// touchObjects notes the pending changes of the objects that are in a content.
func (a *applier) touchObjects(id contentID, out *applied) {
	for _, h := range a.store.contents[id].hits {
		a.touchChanges(h.object.changes, out)
	}
}

func (a *applier) touchChanges(changes []*change, out *applied) {
	for _, ch := range changes {
		if ch.seen != a.round {
			ch.seen = a.round
			out.touched = append(out.touched, ch)
		}
	}
}

// respond works r into a copy of base's entries.
func (a *applier) respond(base *table, t typ, r *response, kind stepKind) ([]entry, *edge, error) {
	a.refs, a.missing = a.refs[:0], a.missing[:0]
	aliases, err := a.intern(t, r, kind)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range a.names {
		if t.wildcard() && base.find(n) == nil {
			a.missing = append(a.missing, n)
		}
	}
	slices.Sort(a.missing)
	entries := inserted(base.entries, slices.Compact(a.missing))
	e := &edge{once: a.repeats()}
	for i, n := range a.names {
		e.bytes += a.store.contents[a.contents[i]].key.size
		x := findEntry(entries, n)
		if x == nil {
			continue // it is not asked for any more: the push was under way
		}
		if a.store.sameBody(x.content, a.contents[i]) {
			e.wasted++
		}
		a.replace(x, a.contents[i], e)
		x.refs &^= awaiting
		e.names = append(e.names, n)
	}
	e.unchanged = e.wasted == len(r.raw)
	for _, n := range aliases { // a name that was asked for may be answered by a resource of another
		if x := findEntry(entries, a.store.findName(t, n)); x != nil {
			x.refs &^= awaiting
		}
	}
	if a.remove(entries, t, r, kind, e) {
		e.unchanged = false
	}
	e.refs = sumRefs(a.refs)
	return pruned(entries), e, nil
}

// intern puts the names and contents of r into a.names and a.contents, with a reference to each that letGo gives back. It
// returns the aliases of the resources where they matter.
func (a *applier) intern(t typ, r *response, kind stepKind) (aliases [][]byte, err error) {
	for i, sum := range r.sums {
		if kind != stepLoose {
			if name, content, ok := a.store.whole(t, sum); ok {
				a.names, a.contents = append(a.names, name), append(a.contents, content)
				continue
			}
		}
		res, err := r.resource(i)
		if err != nil {
			return nil, err
		}
		name, content, err := a.store.resource(t, sum, &res)
		if err != nil {
			return nil, err
		}
		a.names, a.contents = append(a.names, name), append(a.contents, content)
		if kind == stepLoose {
			aliases = append(aliases, res.aliases...)
		}
	}
	return aliases, nil
}

// repeats reports whether a name comes twice. The last one counts, so that it matters in which order they came, which the
// step does not say.
func (a *applier) repeats() bool {
	a.sorted = append(a.sorted[:0], a.names...)
	slices.Sort(a.sorted)
	return len(slices.Compact(a.sorted)) < len(a.names)
}

// letGo gives back what intern took.
func (a *applier) letGo() {
	for _, id := range a.contents {
		a.store.dropContent(id)
	}
	for _, n := range a.names {
		a.store.dropName(n)
	}
	a.names, a.contents = a.names[:0], a.contents[:0]
}

// replace gives x the content id, and notes it and how references change.
func (a *applier) replace(x *entry, id contentID, e *edge) {
	e.contents = append(e.contents, id)
	if x.content == id {
		return
	}
	e.contents = append(e.contents, x.content)
	for _, d := range a.store.contents[x.content].deps {
		a.refs = append(a.refs, refChange{d, -1})
	}
	for _, d := range a.store.contents[id].deps {
		a.refs = append(a.refs, refChange{d, 1})
	}
	x.content = id
}

// remove takes away what r says is gone, and reports whether there was any of it: by name, or in SotW by leaving it out
// where the response is all there is of its type. What is asked for by name stays asked for.
func (a *applier) remove(entries []entry, t typ, r *response, kind stepKind, e *edge) (any bool) {
	gone := func(x *entry) {
		any = any || x.content != 0
		x.refs &^= awaiting
		a.replace(x, 0, e)
		e.names = append(e.names, x.name)
	}
	for _, name := range r.removed {
		if x := findEntry(entries, a.store.findName(t, name)); x != nil {
			gone(x)
		}
	}
	if kind != stepState || !t.wildcard() {
		return any
	}
	for i := range entries {
		if _, ok := slices.BinarySearch(a.sorted, entries[i].name); !ok && entries[i].content != 0 {
			gone(&entries[i])
		}
	}
	return any
}

// sumRefs adds up the changes of each name, sorted by type.
func sumRefs(refs []refChange) []refChange {
	slices.SortFunc(refs, func(x, y refChange) int {
		return cmp.Or(cmp.Compare(x.typ, y.typ), cmp.Compare(x.name, y.name))
	})
	net := refs[:0]
	for _, r := range refs {
		if n := len(net); n > 0 && net[n-1].dep == r.dep {
			net[n-1].by += r.by
			continue
		}
		net = append(net, r)
	}
	return slices.Clone(slices.DeleteFunc(net, func(r refChange) bool { return r.by == 0 }))
}

// refer works changes of references, all of one type, into its table. A resource that is referred to for the first time
// is asked for, one that nothing refers to any more is not; one of two listeners going away leaves their route alone.
func (a *applier) refer(c *client, refs []refChange, out *applied) {
	sub := &c.types[refs[0].typ]
	a.sum = a.sum[:0]
	for _, r := range refs {
		a.sum = binary.LittleEndian.AppendUint32(a.sum, uint32(r.name))
		a.sum = binary.LittleEndian.AppendUint32(a.sum, uint32(int32(r.by)))
	}
	e, _ := a.store.follow(sub.table, step{stepRefer, xxhash.Sum64(a.sum)}, func() ([]entry, *edge, error) {
		entries, e := a.count(sub.table, refs)
		return entries, e, nil
	})
	a.move(sub, e, e.dropped, out)
	if len(e.ask.add)+len(e.ask.del) > 0 {
		out.requests = append(out.requests, e.ask)
	}
}

// count works refs, sorted by name, into a copy of base's entries.
func (a *applier) count(base *table, refs []refChange) ([]entry, *edge) {
	a.missing = a.missing[:0]
	for _, r := range refs {
		if r.by > 0 && base.find(r.name) == nil {
			a.missing = append(a.missing, r.name)
		}
	}
	entries := inserted(base.entries, a.missing)
	e := &edge{ask: resubscription{typ: refs[0].typ}}
	for _, r := range refs {
		x := findEntry(entries, r.name)
		if x == nil {
			continue
		}
		before := x.count()
		x.refs += uint32(r.by)
		switch name := a.store.names[r.name].key.name; {
		case before == 0:
			x.refs |= awaiting
			e.ask.add = append(e.ask.add, name)
		case x.count() == 0:
			e.contents = append(e.contents, x.content)
			x.refs, x.content = 0, 0
			e.ask.del = append(e.ask.del, name)
			e.dropped = append(e.dropped, r.name)
		}
	}
	return pruned(entries), e
}

// restart puts a client on a new stream, on which all that it asks for by name is awaited again.
func (a *applier) restart(sub *subscription) {
	e, _ := a.store.follow(sub.table, step{kind: stepRestart}, func() ([]entry, *edge, error) {
		entries := slices.Clone(sub.table.entries)
		for i := range entries {
			if entries[i].count() > 0 {
				entries[i].refs |= awaiting
			}
		}
		return entries, &edge{}, nil
	})
	a.move(sub, e, nil, &applied{})
}

// demand has c ask for an address by its name. It returns the name's id, and false if c has asked for it before.
func (a *applier) demand(c *client, address string) (nameID, bool) {
	sub := &c.types[wds]
	n := a.store.name(wds, []byte(address))
	defer a.store.dropName(n) // the table holds it
	if e := sub.table.find(n); e != nil && e.count() > 0 {
		return n, false
	}
	a.refer(c, []refChange{{dep{wds, n}, 1}}, &applied{})
	return n, true
}
