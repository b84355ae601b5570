package xdspool

import (
	"cmp"
	"slices"
)

// entry is what a client knows of one resource.
type entry struct {
	name    nameID
	content contentID // 0: not held, or removed
	refs    uint32    // of a type asked for by name: by how many resources it is referred to, and the awaiting flag
}

// awaiting marks an entry that was asked for on this stream and not answered yet.
const awaiting = 1 << 31

// count is the number of resources that refer to e.
func (e *entry) count() uint32 { return e.refs &^ awaiting }

// table is what a client holds and asks for of one type, and is never changed: a response leads from one table to
// another. Clients with the same configuration share their tables, and the work of getting there: a step that was taken
// from a table once is found in its next steps. So what the second of a thousand equal sidecars costs is a hash of its
// responses.
type table struct {
	entries     []entry // sorted by name
	outstanding int     // entries that are awaited

	users  int // clients that are here
	next   map[step]*edge
	parent *table // whose next leads here by key; nil if it is gone
	key    step
}

// step is what leads from one table to another.
type step struct {
	kind stepKind
	sum  uint64 // of the response, or of the changes of references
}

type stepKind uint8

const (
	stepDelta   stepKind = iota // a delta response
	stepState                   // a SotW response
	stepLoose                   // a delta response in which names are answered by others, see [runtime.Proxy] OnDemand
	stepRefer                   // references have changed
	stepRestart                 // a new stream
)

// edge is where a step leads, and what it does besides.
type edge struct {
	to *table

	// Of a response.
	names     []nameID    // what was sent or removed
	refs      []refChange // what is referred to now and was not, or the other way; by type
	wasted    int         // resources whose content was held already
	unchanged bool        // nothing in it was new
	bytes     int

	// Of a change of references.
	ask     resubscription
	dropped []nameID
}

// find returns the entry of a name, or nil.
func (t *table) find(n nameID) *entry {
	if t == nil {
		return nil
	}
	return findEntry(t.entries, n)
}

func findEntry(entries []entry, n nameID) *entry {
	i, found := slices.BinarySearchFunc(entries, n, func(e entry, n nameID) int { return cmp.Compare(e.name, n) })
	if !found {
		return nil
	}
	return &entries[i]
}

// inserted returns a copy of entries with empty ones for names, which must be sorted, distinct and not among them.
func inserted(entries []entry, names []nameID) []entry {
	out := make([]entry, 0, len(entries)+len(names))
	for _, n := range names {
		i, _ := slices.BinarySearchFunc(entries, n, func(e entry, n nameID) int { return cmp.Compare(e.name, n) })
		out = append(out, entries[:i]...)
		out = append(out, entry{name: n})
		entries = entries[i:]
	}
	return append(out, entries...)
}

// pruned takes out, in place, the entries that nothing keeps: no content is held, and no resource refers to them.
func pruned(entries []entry) []entry {
	out := slices.DeleteFunc(entries, func(e entry) bool { return e.content == 0 && e.count() == 0 })
	if cap(out) > len(out)+len(out)/8 {
		out = slices.Clone(out)
	}
	return out
}

// maxLoops is how many steps a table remembers that lead nowhere else, and would otherwise be remembered for good.
const maxLoops = 32

// follow takes a step from base. If it was not taken before, make says where it leads: to entries that are not yet a
// table. The caller has to hold the table that it gets at once.
func (s *store) follow(base *table, key step, make func() ([]entry, *edge, error)) (*edge, error) {
	if e := base.next[key]; e != nil {
		return e, nil
	}
	entries, e, err := make()
	if err != nil {
		return nil, err
	}
	if slices.Equal(entries, base.entries) {
		e.to = base
		if len(base.next) >= maxLoops {
			return e, nil
		}
	} else {
		e.to = s.newTable(entries)
		e.to.parent, e.to.key = base, key
	}
	if base.next == nil {
		base.next = map[step]*edge{}
	}
	base.next[key] = e
	return e, nil
}

// newTable makes a table, which takes references to its names and contents.
func (s *store) newTable(entries []entry) *table {
	t := &table{entries: entries}
	for _, e := range entries {
		s.keepName(e.name)
		s.keepContent(e.content)
		if e.refs&awaiting != 0 {
			t.outstanding++
		}
	}
	return t
}

// hold adds a user to t.
func (s *store) hold(t *table) { t.users++ }

// release takes a user from t, and lets go of it with the last.
func (s *store) release(t *table) {
	if t.users--; t.users > 0 {
		return
	}
	for _, e := range t.next {
		if e.to.parent == t {
			e.to.parent = nil
		}
	}
	t.next = nil
	if t.parent != nil {
		delete(t.parent.next, t.key)
		t.parent = nil
	}
	for _, e := range t.entries {
		s.dropContent(e.content)
		s.dropName(e.name)
	}
}
