package xdspool

import (
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
	store   *store
	round   uint64 // numbers the responses
	got     []received
	looked  []int       // the indexes in got of what no table holds yet
	order   []nameIndex // of got, by name
	missing []nameID
	refs    []refChange
	sum     []byte
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
	for _, id := range e.contents {
		a.touchObjects(id, out)
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
			a.show(x.content, e)
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
