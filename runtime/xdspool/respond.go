package xdspool

import (
	"cmp"
	"slices"
)

// nameIndex is a name and where in a response it stands. In order, names that come twice stay as they came.
type nameIndex uint64

func (x nameIndex) name() nameID { return nameID(x >> 32) }
func (x nameIndex) index() int   { return int(uint32(x)) }

// respond works r into a copy of base's entries.
func (a *applier) respond(base *table, t typ, r *response, kind stepKind) ([]entry, *edge, error) {
	a.refs = a.refs[:0]
	aliases, err := a.intern(t, r, kind)
	if err != nil {
		return nil, nil, err
	}
	a.sort()
	e := &edge{}
	entries := a.merge(base, t, e)
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

// intern puts the names and contents of r into a.got. It returns the aliases of the resources where they matter.
//
// What was received before is in use, and stays so until a table holds it, as nothing is given up meanwhile. What was not is
// in use because of a reference that letGo gives back.
func (a *applier) intern(t typ, r *response, kind stepKind) (aliases [][]byte, err error) {
	for i, sum := range r.sums {
		if kind != stepLoose {
			if got, ok := a.store.parts[partOf(t, sum)]; ok {
				a.got = append(a.got, got)
				continue
			}
		}
		res, err := r.resource(i)
		if err != nil {
			return nil, err
		}
		got, err := a.store.resource(t, sum, &res)
		if err != nil {
			return nil, err
		}
		a.looked = append(a.looked, len(a.got))
		a.got = append(a.got, got)
		if kind == stepLoose {
			aliases = append(aliases, res.aliases...)
		}
	}
	return aliases, nil
}

// letGo gives back what intern took.
func (a *applier) letGo() {
	for _, i := range a.looked {
		a.store.dropContent(a.got[i].content)
		a.store.dropName(a.got[i].name)
	}
	a.got, a.looked = a.got[:0], a.looked[:0]
}

// sort puts a.got in order.
func (a *applier) sort() {
	a.order = a.order[:0]
	for i := range a.got {
		a.order = append(a.order, nameIndex(a.got[i].name)<<32|nameIndex(i))
	}
	slices.Sort(a.order)
}

// merge returns base's entries with what was got.
func (a *applier) merge(base *table, t typ, e *edge) []entry {
	rest := base.entries
	room := len(rest)
	if t.wildcard() {
		room += len(a.order)
	}
	out := make([]entry, 0, room)
	for i := 0; i < len(a.order); {
		n := a.order[i].name()
		at := seek(rest, n)
		out, rest = append(out, rest[:at]...), rest[at:]
		x, asked := entry{name: n}, t.wildcard()
		if len(rest) > 0 && rest[0].name == n {
			x, rest, asked = rest[0], rest[1:], true
		}
		from := i
		for ; i < len(a.order) && a.order[i].name() == n; i++ {
			got := &a.got[a.order[i].index()]
			e.bytes += int(got.size)
			if asked { // otherwise it is not asked for any more: the push was under way
				a.put(&x, got.content, e)
			}
		}
		// The last of a name counts, so that it matters in which order they came, which the step does not say.
		e.once = e.once || i > from+1
		if asked {
			out = append(out, x)
		}
	}
	return append(out, rest...)
}

// put gives x a content that was received for it.
func (a *applier) put(x *entry, id contentID, e *edge) {
	if a.store.sameBody(x.content, id) {
		e.wasted++
	}
	a.replace(x, id, e)
	x.refs &^= awaiting
	a.note(x.name, e)
}

// note adds a name to those of e, if changes may be looked for in it: the others would be looked up in vain, at each response.
func (a *applier) note(n nameID, e *edge) {
	if t := a.store.names[n].key.typ; t == eds || t == wds {
		e.names = append(e.names, n)
	}
}

// replace gives x the content id, and notes it and how references change.
func (a *applier) replace(x *entry, id contentID, e *edge) {
	a.show(id, e)
	if x.content == id {
		return
	}
	a.show(x.content, e)
	for _, d := range a.store.contents[x.content].deps {
		a.refs = append(a.refs, refChange{d, -1})
	}
	for _, d := range a.store.contents[id].deps {
		a.refs = append(a.refs, refChange{d, 1})
	}
	x.content = id
}

// show adds a content to those of e, if it has something of an object. That is found when the content comes first.
func (a *applier) show(id contentID, e *edge) {
	if len(a.store.contents[id].hits) > 0 {
		e.contents = append(e.contents, id)
	}
}

// remove takes away what r says is gone, and reports whether there was any of it: by name, or in SotW by leaving it out
// where the response is all there is of its type. What is asked for by name stays asked for.
func (a *applier) remove(entries []entry, t typ, r *response, kind stepKind, e *edge) (any bool) {
	gone := func(x *entry) {
		any = any || x.content != 0
		x.refs &^= awaiting
		a.replace(x, 0, e)
		a.note(x.name, e)
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
		if !a.has(entries[i].name) && entries[i].content != 0 {
			gone(&entries[i])
		}
	}
	return any
}

// has reports whether a resource of that name was got.
func (a *applier) has(n nameID) bool {
	i, _ := slices.BinarySearch(a.order, nameIndex(n)<<32)
	return i < len(a.order) && a.order[i].name() == n
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
