package xdspool

import (
	"cmp"
	"slices"
)

// applied is what a response did to a client.
type applied struct {
	requests []resubscription // what to ask for because of it, and what no more
	touched  []*change        // pending changes of the resources in it
	wasted   int              // resources whose content was held already
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
	missing  []nameID
	refs     []refChange
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
	if err := a.intern(t, r); err != nil {
		return out, err
	}
	sub := &c.types[t]
	a.resolve(sub, t, r)
	a.refs = a.refs[:0]
	for i, n := range a.names {
		e := sub.table.find(n)
		if e == nil { // it is not asked for any more: the push was under way
			a.store.dropContent(a.contents[i])
			continue
		}
		if a.store.sameBody(e.content, a.contents[i]) {
			out.wasted++
		}
		a.replace(e, a.contents[i])
		sub.settle(e)
		a.touch(n, &out)
	}
	a.remove(sub, t, r, &out)
	a.refer(c, &out)
	return out, nil
}

// intern puts the contents of r into a.contents.
func (a *applier) intern(t typ, r *response) error {
	a.contents = a.contents[:0]
	for i := range r.resources {
		id, err := a.store.content(t, &r.resources[i])
		if err != nil {
			for _, id := range a.contents {
				a.store.dropContent(id)
			}
			return err
		}
		a.contents = append(a.contents, id)
	}
	return nil
}

// resolve puts the names of r into a.names, 0 for one that nobody asked for. Those that are new in a type that is
// subscribed to as a whole get an empty entry.
func (a *applier) resolve(sub *subscription, t typ, r *response) {
	a.names, a.missing = a.names[:0], a.missing[:0]
	for i := range r.resources {
		name := r.resources[i].name
		if !t.wildcard() {
			a.names = append(a.names, a.store.findName(t, name))
			continue
		}
		n := a.store.name(t, name)
		a.names = append(a.names, n)
		if sub.table.find(n) == nil {
			a.missing = append(a.missing, n)
		} else {
			a.store.dropName(n) // the table has a reference already
		}
	}
	slices.Sort(a.missing)
	distinct := a.missing[:0]
	for _, n := range a.missing {
		if k := len(distinct); k > 0 && distinct[k-1] == n {
			a.store.dropName(n) // twice in one response
			continue
		}
		distinct = append(distinct, n)
	}
	sub.table = sub.table.insert(distinct)
}

// replace gives e the content id, whose reference it takes over, and notes how references change.
func (a *applier) replace(e *entry, id contentID) {
	old := e.content
	e.content = id
	if old != id {
		for _, d := range a.store.contents[old].deps {
			a.refs = append(a.refs, refChange{d, -1})
		}
		for _, d := range a.store.contents[id].deps {
			a.refs = append(a.refs, refChange{d, 1})
		}
	}
	a.store.dropContent(old)
}

// remove takes away the resources that r lists as removed. What is asked for by name stays asked for.
func (a *applier) remove(sub *subscription, t typ, r *response, out *applied) {
	prune := false
	for _, name := range r.removed {
		n := a.store.findName(t, name)
		e := sub.table.find(n)
		if e == nil {
			continue
		}
		a.touch(n, out)
		sub.settle(e)
		if e.content == 0 {
			continue
		}
		a.replace(e, 0)
		if t.wildcard() {
			a.store.dropName(n)
			prune = true
		}
	}
	if prune {
		sub.table = sub.table.prune()
	}
}

// refer works a.refs into the tables of the types they are of. A resource that is referred to for the first time is
// asked for, one that nothing refers to any more is not; one of two listeners going away leaves their route alone.
func (a *applier) refer(c *client, out *applied) {
	slices.SortFunc(a.refs, func(x, y refChange) int {
		return cmp.Or(cmp.Compare(x.typ, y.typ), cmp.Compare(x.name, y.name))
	})
	net := a.refs[:0]
	for _, r := range a.refs {
		if n := len(net); n > 0 && net[n-1].dep == r.dep {
			net[n-1].by += r.by
			continue
		}
		net = append(net, r)
	}
	for len(net) > 0 {
		n := 1
		for n < len(net) && net[n].typ == net[0].typ {
			n++
		}
		a.referType(c, net[:n], out)
		net = net[n:]
	}
}

// referType is refer for the changes of one type, sorted by name.
func (a *applier) referType(c *client, net []refChange, out *applied) {
	t := net[0].typ
	sub := &c.types[t]
	a.missing = a.missing[:0]
	for _, r := range net {
		if r.by > 0 && sub.table.find(r.name) == nil {
			a.store.keepName(r.name)
			a.missing = append(a.missing, r.name)
		}
	}
	sub.table = sub.table.insert(a.missing)

	ask := resubscription{typ: t}
	for _, r := range net {
		e := sub.table.find(r.name)
		if e == nil || r.by == 0 {
			continue
		}
		before := e.count()
		e.refs += uint32(r.by)
		switch name := a.store.names[r.name].key.name; {
		case before == 0:
			sub.await(e)
			ask.add = append(ask.add, name)
		case e.count() == 0:
			ask.del = append(ask.del, name)
			a.touch(r.name, out)
			sub.settle(e)
			a.store.dropContent(e.content)
			e.content = 0
			a.store.dropName(r.name)
		}
	}
	if len(ask.del) > 0 {
		sub.table = sub.table.prune()
	}
	if len(ask.add)+len(ask.del) > 0 {
		out.requests = append(out.requests, ask)
	}
}

// touch notes the pending changes that are looked for in the resource n.
func (a *applier) touch(n nameID, out *applied) {
	w := a.store.names[n].watch
	if w == nil {
		return
	}
	for _, ch := range w.changes {
		if ch.seen != a.round {
			ch.seen = a.round
			out.touched = append(out.touched, ch)
		}
	}
}
