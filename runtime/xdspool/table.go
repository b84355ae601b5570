package xdspool

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
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
// another. Clients with the same configuration share their tables, by whatever responses they came there, and the work of
// getting further: a step that was taken from a table once is found in its next steps. So what the second of a thousand
// equal sidecars costs is a hash of its responses.
type table struct {
	entries     []entry // sorted by name
	outstanding int     // entries that are awaited

	prints map[aspect]uint64 // what was asked for of it
	users  int               // clients that are here
	sum    uint64
	next   map[step]*edge
	in     *edge // the first of those that lead here from other tables
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
	from, to       *table
	by             step
	before, behind *edge // in the list of those that lead to the same table

	// Of a response.
	names     []nameID    // what was sent or removed, of a type that has a [watchpoint]
	contents  []contentID // what was held in what was sent or removed and what is now, as far as it has something of objects
	once      bool        // the step does not say all: the same one may lead elsewhere
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

// seek returns where in entries those begin that are not before n. It takes longer the farther that is.
func seek(entries []entry, n nameID) int {
	reach := 1
	for reach < len(entries) && entries[reach].name < n {
		reach *= 2
	}
	from := reach / 2
	i, _ := slices.BinarySearchFunc(entries[from:min(reach+1, len(entries))], n, func(e entry, n nameID) int { return cmp.Compare(e.name, n) })
	return from + i
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

// maxSteps is how many steps a table remembers. More than that many clients that go different ways share nothing anyway,
// and steps that lead nowhere else would be remembered for good.
const maxSteps = 1024

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
	if e.to = base; !slices.Equal(entries, base.entries) {
		e.to = s.table(entries)
	}
	if !e.once {
		e.from, e.by = base, key
		e.link()
	}
	return e, nil
}

// link makes e known to the tables at both of its ends.
func (e *edge) link() {
	if len(e.from.next) >= maxSteps {
		e.from.forget()
	}
	if e.from.next == nil {
		e.from.next = map[step]*edge{}
	}
	e.from.next[e.by] = e
	if e.to == e.from {
		return
	}
	if e.behind = e.to.in; e.behind != nil {
		e.behind.before = e
	}
	e.to.in = e
}

// unlink takes e out of the list of those that lead to the same table.
func (e *edge) unlink() {
	switch {
	case e.to == e.from:
		return
	case e.before != nil:
		e.before.behind = e.behind
	default:
		e.to.in = e.behind
	}
	if e.behind != nil {
		e.behind.before = e.before
	}
	e.before, e.behind = nil, nil
}

// forget drops the steps that t remembers.
func (t *table) forget() {
	for _, e := range t.next {
		e.unlink()
	}
	t.next = nil
}

// table returns the table of entries. A new one takes references to its names and contents.
func (s *store) table(entries []entry) *table {
	sum := s.sumEntries(entries)
	if t := s.tables[sum]; t != nil && slices.Equal(t.entries, entries) {
		return t
	}
	t := &table{entries: entries, sum: sum}
	for _, e := range entries {
		s.keepName(e.name)
		s.keepContent(e.content)
		if e.refs&awaiting != 0 {
			t.outstanding++
		}
	}
	if len(entries) > 0 && s.tables[sum] == nil { // those that are empty may be of any type
		s.tables[sum] = t
	}
	return t
}

// sumEntries hashes entries, whose names are of one type.
func (s *store) sumEntries(entries []entry) uint64 {
	s.scratch = s.scratch[:0]
	for _, e := range entries {
		s.scratch = binary.LittleEndian.AppendUint32(s.scratch, uint32(e.name))
		s.scratch = binary.LittleEndian.AppendUint32(s.scratch, uint32(e.content))
		s.scratch = binary.LittleEndian.AppendUint32(s.scratch, e.refs)
	}
	return xxhash.Sum64(s.scratch)
}

// hold adds a user to t.
func (s *store) hold(t *table) { t.users++ }

// release takes a user from t, and lets go of it with the last.
func (s *store) release(t *table) {
	if t.users--; t.users > 0 {
		return
	}
	t.forget()
	for e := t.in; e != nil; e = e.behind {
		delete(e.from.next, e.by)
	}
	t.in = nil
	if s.tables[t.sum] == t {
		delete(s.tables, t.sum)
	}
	for _, e := range t.entries {
		s.dropContent(e.content)
		s.dropName(e.name)
	}
}
