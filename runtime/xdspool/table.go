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

// table is a client's resources of one type, sorted by name id. At 12 bytes an entry it is the bulk of what a client
// costs, which is why it is not a map. It owns a reference to each of its names and contents.
type table []entry

// find returns the entry of a name, or nil. The pointer is good until the table grows or shrinks.
func (t table) find(n nameID) *entry {
	i, found := slices.BinarySearchFunc(t, n, func(e entry, n nameID) int { return cmp.Compare(e.name, n) })
	if !found {
		return nil
	}
	return &t[i]
}

// insert adds empty entries for names that are not in the table; names must be sorted and distinct.
func (t table) insert(names []nameID) table {
	if len(names) == 0 {
		return t
	}
	out := make(table, 0, len(t)+len(names))
	for _, n := range names {
		i, _ := slices.BinarySearchFunc(t, n, func(e entry, n nameID) int { return cmp.Compare(e.name, n) })
		out = append(out, t[:i]...)
		out = append(out, entry{name: n})
		t = t[i:]
	}
	return append(out, t...)
}

// prune takes out the entries that nothing keeps: no content is held, and no resource refers to them. It gives back
// memory once half of it is unused.
func (t table) prune() table {
	out := slices.DeleteFunc(t, func(e entry) bool { return e.content == 0 && e.count() == 0 })
	if cap(out) > 64 && len(out) < cap(out)/2 {
		out = slices.Clone(out)
	}
	return out
}

// clear empties the table and gives its references back.
func (s *store) clear(t *table) {
	for _, e := range *t {
		s.dropContent(e.content)
		s.dropName(e.name)
	}
	*t = nil
}
