package xdspool

import (
	"bytes"
	"slices"
	"strings"

	"github.com/plscript/plscript/runtime"
)

// nameID and contentID number interned names and contents; 0 is none.
type (
	nameID    uint32
	contentID uint32
)

// store keeps one copy of every resource name and every distinct resource content that some client holds or refers to,
// counted by reference, so that neither the number of proxies nor the length of a run makes it grow.
type store struct {
	names     []nameRecord // by nameID
	nameIndex map[nameKey]nameID
	freeNames []nameID

	contents     []contentRecord // by contentID
	contentIndex map[contentKey]contentID
	freeContents []contentID

	parts map[partKey]received // by what they were received as

	hosts map[string]*watchpoint // by service host, of the EDS names that watch it

	objects   map[runtime.ObjectKey]*object
	objectIDs map[string]*object   // by what pieces call them
	texts     map[string][]*object // by word, those that resources do not name

	empty   [numTypes]*table  // where every client begins
	tables  map[uint64]*table // the others, by the hash of their entries
	scratch []byte            // what is hashed
}

type nameKey struct {
	typ  typ
	name string
}

type nameRecord struct {
	key   nameKey
	refs  int32
	watch *watchpoint // where changes to the resource of this name are followed; usually nil
}

// contentKey identifies a content. 64 bits of hash and the length make a collision among a million contents a matter of
// one in ten million runs; the version is part of it because a client sends it back when it reconnects.
type contentKey struct {
	typ     typ
	size    int
	sum     uint64
	version string
}

type contentRecord struct {
	key  contentKey
	refs int32
	deps []dep // the resources it refers to; each holds a reference to its name
	ips  []ip
	hits []hit // what it has of objects whose changes are followed; usually nil

	marks []mark // of a listener or a gateway's routes

	// What it was first received as: a name, to which it holds a reference, and the hash of all of it. Whoever receives the
	// same bytes again needs no look into them.
	name nameID
	part partKey
}

// partKey is a resource of a type on the wire, name and version included, as a hash.
type partKey uint64

func partOf(t typ, sum uint64) partKey { return partKey(sum + uint64(t)*oddFactor) }

// received is what a resource was found to be when it came first. It stands for a content that is in use, and holds no
// reference.
type received struct {
	name    nameID
	content contentID
	size    int32 // of the content, in bytes
}

// dep is an interned reference.
type dep struct {
	typ  typ
	name nameID
}

// watchpoint is what changes are looked for in: all the EDS resources of a service host, or one workload.
type watchpoint struct {
	typ     typ
	host    string   // of EDS resources; "" otherwise
	names   []nameID // live ones
	changes []*change
}

func newStore() *store {
	s := &store{
		names:        make([]nameRecord, 1),
		nameIndex:    map[nameKey]nameID{},
		contents:     make([]contentRecord, 1),
		contentIndex: map[contentKey]contentID{},
		parts:        map[partKey]received{},
		hosts:        map[string]*watchpoint{},
		objects:      map[runtime.ObjectKey]*object{},
		objectIDs:    map[string]*object{},
		texts:        map[string][]*object{},
		tables:       map[uint64]*table{},
	}
	for t := range s.empty {
		s.empty[t] = &table{users: 1}
	}
	return s
}

// findName returns the id of a name that is in use, or 0, and takes no reference.
func (s *store) findName(t typ, name []byte) nameID {
	return s.nameIndex[nameKey{t, string(name)}]
}

// name interns a name and takes a reference to it.
func (s *store) name(t typ, name []byte) nameID {
	if id := s.findName(t, name); id != 0 {
		s.names[id].refs++
		return id
	}
	key := nameKey{t, string(name)}
	rec := nameRecord{key: key, refs: 1}
	var id nameID
	if n := len(s.freeNames); n > 0 {
		id, s.freeNames = s.freeNames[n-1], s.freeNames[:n-1]
		s.names[id] = rec
	} else {
		id = nameID(len(s.names))
		s.names = append(s.names, rec)
	}
	s.nameIndex[key] = id
	if t == eds {
		if host := baseHost(key.name); host != "" {
			s.watchHost(host, id)
		}
	}
	return id
}

func (s *store) keepName(id nameID) { s.names[id].refs++ }

func (s *store) dropName(id nameID) {
	rec := &s.names[id]
	if rec.refs--; rec.refs > 0 {
		return
	}
	if w := rec.watch; w != nil {
		w.names = slices.DeleteFunc(w.names, func(n nameID) bool { return n == id })
		s.forgetHost(w)
	}
	delete(s.nameIndex, rec.key)
	*rec = nameRecord{}
	s.freeNames = append(s.freeNames, id)
}

// watchHost puts the EDS name id among those of host.
func (s *store) watchHost(host string, id nameID) {
	w := s.hosts[host]
	if w == nil {
		// The host is a part of the name, and would keep all of it.
		host = strings.Clone(host)
		w = &watchpoint{typ: eds, host: host}
		s.hosts[host] = w
	}
	w.names = append(w.names, id)
	s.names[id].watch = w
}

// forgetHost drops the watchpoint of a host that nothing is subscribed to and no change is waiting for.
func (s *store) forgetHost(w *watchpoint) {
	if w.host != "" && len(w.names) == 0 && len(w.changes) == 0 {
		delete(s.hosts, w.host)
	}
}

// resource interns the name and content of r, which has the hash sum on the wire, and takes a reference to both.
func (s *store) resource(t typ, sum uint64, r *resource) (received, error) {
	id, err := s.content(t, r)
	if err != nil {
		return received{}, err
	}
	got := received{s.name(t, r.name), id, int32(len(r.body))}
	if rec := &s.contents[id]; rec.name == 0 {
		rec.name, rec.part = got.name, partOf(t, sum)
		s.keepName(got.name)
		s.parts[rec.part] = got
		s.watchObjects(t, id, r)
	}
	return got, nil
}

// content interns the content of r and takes a reference to it. Only the first of its kind is looked into.
func (s *store) content(t typ, r *resource) (contentID, error) {
	if id := s.contentIndex[contentKey{t, len(r.body), r.sum, string(r.version)}]; id != 0 {
		s.contents[id].refs++
		return id, nil
	}
	facts, err := scanContent(t, r.body)
	if err != nil {
		return 0, err
	}
	rec := contentRecord{
		key:  contentKey{t, len(r.body), r.sum, string(r.version)},
		refs: 1,
		ips:  facts.ips, marks: facts.marks,
	}
	for _, ref := range facts.refs {
		rec.deps = append(rec.deps, dep{ref.typ, s.name(ref.typ, ref.name)})
	}
	var id contentID
	if n := len(s.freeContents); n > 0 {
		id, s.freeContents = s.freeContents[n-1], s.freeContents[:n-1]
		s.contents[id] = rec
	} else {
		id = contentID(len(s.contents))
		s.contents = append(s.contents, rec)
	}
	s.contentIndex[rec.key] = id
	return id, nil
}

// keepContent takes a reference; 0 is allowed.
func (s *store) keepContent(id contentID) { s.contents[id].refs++ }

// dropContent gives up a reference; 0 is allowed.
func (s *store) dropContent(id contentID) {
	if id == 0 {
		return
	}
	rec := &s.contents[id]
	if rec.refs--; rec.refs > 0 {
		return
	}
	for _, d := range rec.deps {
		s.dropName(d.name)
	}
	s.unwatchObjects(id)
	if rec.name != 0 {
		s.dropName(rec.name)
		delete(s.parts, rec.part)
	}
	delete(s.contentIndex, rec.key)
	*rec = contentRecord{}
	s.freeContents = append(s.freeContents, id)
}

// sameBody reports whether two contents differ in their version at most.
func (s *store) sameBody(a, b contentID) bool {
	if a == b || a == 0 || b == 0 {
		return a == b && a != 0
	}
	x, y := &s.contents[a].key, &s.contents[b].key
	return x.sum == y.sum && x.size == y.size
}

// holds reports whether the content lists the address as one that takes traffic; content 0 lists none.
func (s *store) holds(id contentID, a ip) bool {
	_, found := slices.BinarySearchFunc(s.contents[id].ips, a, func(x, y ip) int { return bytes.Compare(x[:], y[:]) })
	return found
}

// baseHost returns the service host of an EDS resource that lists all of a service's endpoints, and "" for one that
// lists some (a subset) or that is named otherwise. Names are direction|port|subset|host, or with "_." for "|" after
// "outbound_" (Istio pilot/pkg/model ParseSubsetKey). In a waypoint's inbound-vip names the subset starts with the
// protocol: "http", or "http/v1" for a real subset (Istio pilot/pkg/networking/core/cluster_waypoint.go).
func baseHost(name string) string {
	sep := "|"
	if strings.HasPrefix(name, "outbound_.") {
		sep = "_."
	}
	direction, rest, _ := strings.Cut(name, sep)
	_, rest, _ = strings.Cut(rest, sep)
	subset, host, ok := strings.Cut(rest, sep)
	if !ok || strings.Contains(host, sep) {
		return ""
	}
	if direction == "inbound-vip" {
		if strings.Contains(subset, "/") {
			return ""
		}
	} else if subset != "" {
		return ""
	}
	return host
}
