package xdspool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// scanned returns resources of type t as a scanned response.
func scanned(t testing.TB, of typ, res []*discovery.Resource, removed ...string) *response {
	t.Helper()
	b, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{
		TypeUrl: of.url(), Nonce: "n", Resources: res, RemovedResources: removed,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &response{}
	if err := r.scan(b, false); err != nil {
		t.Fatal(err)
	}
	return r
}

// newClient is a client that holds nothing.
func newClient(s *store) *client {
	c := &client{}
	for t := range c.types {
		c.types[t].table = s.empty[t]
		s.hold(s.empty[t])
	}
	return c
}

// TestTablesAgreeWithMaps applies random clusters to a client and compares what it asks for with a plain model.
func TestTablesAgreeWithMaps(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	s := newStore()
	a := applier{store: s}
	c := newClient(s)
	held := map[string]string{} // EDS name by cluster
	asked := map[string]bool{}
	for round := range 500 {
		var res []*discovery.Resource
		var removed []string
		for range r.IntN(20) {
			name, service := fmt.Sprintf("c%d", r.IntN(40)), fmt.Sprintf("s%d", r.IntN(20))
			m := edsCluster(service)
			m.Name = name
			res = append(res, m) // names may repeat: the last one counts
			held[name] = service
		}
		for range r.IntN(10) {
			name := fmt.Sprintf("c%d", r.IntN(40))
			removed = append(removed, name)
			delete(held, name)
		}
		out, err := a.apply(c, cds, scanned(t, cds, res, removed...))
		if err != nil {
			t.Fatal(err)
		}
		if err := follow(asked, out.requests); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		want := map[string]bool{}
		for _, service := range held {
			want[service] = true
		}
		if len(want) != len(asked) || len(c.types[cds].table.entries) != len(held) || len(c.types[eds].table.entries) != len(want) {
			t.Fatalf("round %d: holds %d of %d clusters, asks for %d of %d", round, len(c.types[cds].table.entries), len(held), len(asked), len(want))
		}
		for _, sub := range c.types {
			if !slices.IsSortedFunc(sub.table.entries, func(x, y entry) int { return int(x.name) - int(y.name) }) {
				t.Fatalf("round %d: the table is not sorted", round)
			}
		}
		if c.types[eds].table.outstanding != len(want) {
			t.Fatalf("round %d: %d names outstanding, want %d", round, c.types[eds].table.outstanding, len(want))
		}
	}
	s.release(c.types[cds].table)
	s.release(c.types[eds].table)
	if n := len(s.nameIndex) + len(s.contentIndex) + len(s.hosts); n != 0 {
		t.Errorf("%d things left", n)
	}
}

// follow does to asked what the requests do to a server's idea of what is subscribed to.
func follow(asked map[string]bool, requests []resubscription) error {
	for _, q := range requests {
		for _, n := range q.add {
			if asked[n] {
				return fmt.Errorf("%s asked for again", n)
			}
			asked[n] = true
		}
		for _, n := range q.del {
			if !asked[n] {
				return fmt.Errorf("%s given up twice", n)
			}
			delete(asked, n)
		}
	}
	return nil
}

// TestChurnDoesNotGrowTheStore replaces the pods of a mesh many times over.
func TestChurnDoesNotGrowTheStore(t *testing.T) {
	t.Parallel()
	s := newStore()
	a := applier{store: s}
	clients := []*client{newClient(s), newClient(s)}
	for round := range 1000 {
		name := func(i int) string { return fmt.Sprintf("Kubernetes//Pod/ns/p%d", i) }
		addr := fmt.Sprintf("10.0.%d.%d", round/250, round%250)
		r := scanned(t, wds, []*discovery.Resource{workload(name(round), fmt.Sprint(round), addr, false)}, name(round-10))
		for _, c := range clients {
			if _, err := a.apply(c, wds, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(s.names) > 20 || len(s.contents) > 20 || len(s.nameIndex) != 10 || len(s.contentIndex) != 10 {
		t.Errorf("%d names in %d, %d contents in %d", len(s.nameIndex), len(s.names), len(s.contentIndex), len(s.contents))
	}
	if n := len(clients[0].types[wds].table.entries); n != 10 {
		t.Errorf("the client holds %d", n)
	}
}

// TestEqualClientsMeet has clients come to the same configuration in different ways.
func TestEqualClientsMeet(t *testing.T) {
	t.Parallel()
	s := newStore()
	a := applier{store: s}
	x, y := edsCluster("x"), edsCluster("y")
	older := edsCluster("x-before")
	older.Name = x.Name
	ways := [][]*response{
		{scanned(t, cds, []*discovery.Resource{x, y})},
		{scanned(t, cds, []*discovery.Resource{y, x})}, // the order is istiod's whim
		{scanned(t, cds, []*discovery.Resource{x}), scanned(t, cds, []*discovery.Resource{y})},
		{scanned(t, cds, []*discovery.Resource{older, y}), scanned(t, cds, []*discovery.Resource{x})},
		{scanned(t, cds, []*discovery.Resource{x, y, older}), scanned(t, cds, []*discovery.Resource{x}, "nothing")},
	}
	if ways[0][0].sum != ways[1][0].sum {
		t.Error("the order of resources makes another response")
	}
	var clients []*client
	for _, way := range ways {
		c := newClient(s)
		for _, r := range way {
			if _, err := a.apply(c, cds, r); err != nil {
				t.Fatal(err)
			}
		}
		clients = append(clients, c)
	}
	for i, c := range clients {
		if c.types[cds].table != clients[0].types[cds].table {
			t.Errorf("client %d has a table of its own", i)
		}
		for k := range c.types {
			s.release(c.types[k].table)
		}
	}
	if n := len(s.tables) + len(s.nameIndex) + len(s.contentIndex); n != 0 {
		t.Errorf("%d things left", n)
	}
	for k, e := range s.empty {
		if len(e.next) != 0 {
			t.Errorf("the empty table of %v remembers %d steps to nowhere", typ(k), len(e.next))
		}
	}
}

// TestTheLastOfTwoCounts: where a name comes twice, the order is not istiod's whim.
func TestTheLastOfTwoCounts(t *testing.T) {
	t.Parallel()
	s := newStore()
	a := applier{store: s}
	one, other := edsCluster("x"), edsCluster("y")
	other.Name = one.Name
	hold := func(res ...*discovery.Resource) nameID {
		c := newClient(s)
		if _, err := a.apply(c, cds, scanned(t, cds, res)); err != nil {
			t.Fatal(err)
		}
		return c.types[eds].table.entries[0].name
	}
	if hold(one, other) != s.findName(eds, []byte("y")) || hold(other, one) != s.findName(eds, []byte("x")) {
		t.Error("it is not the last one that is held")
	}
}

// TestStepsAreForgotten goes on for long with what changes nothing.
func TestStepsAreForgotten(t *testing.T) {
	t.Parallel()
	s := newStore()
	a := applier{store: s}
	c := newClient(s)
	for round := range 5 * maxSteps {
		if _, err := a.apply(c, cds, scanned(t, cds, nil, fmt.Sprint(round))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.empty[cds].next); n > maxSteps {
		t.Errorf("%d steps are remembered, more than %d", n, maxSteps)
	}
}

// benchmarkResponse is an EDS answer for n services of ten endpoints each, and a client that asks for them.
func benchmarkResponse(b *testing.B, n int) (*client, *applier, []byte) {
	b.Helper()
	var clusters, assignments []*discovery.Resource
	for i := range n {
		name := fmt.Sprintf("outbound|80||svc-%d.namespace.svc.cluster.local", i)
		var ips []string
		for e := range 10 {
			ips = append(ips, fmt.Sprintf("10.%d.%d.%d", i/250, i%250, e))
		}
		clusters = append(clusters, edsCluster(name))
		assignments = append(assignments, assignment(name, ips...))
	}
	s := newStore()
	c, a := newClient(s), &applier{store: s}
	if _, err := a.apply(c, cds, scanned(b, cds, clusters)); err != nil {
		b.Fatal(err)
	}
	wire, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{TypeUrl: eds.url(), Nonce: "n", Resources: assignments})
	if err != nil {
		b.Fatal(err)
	}
	return c, a, wire
}

// BenchmarkResponse handles an EDS answer whose contents are known from other clients, which is the common case.
func BenchmarkResponse(b *testing.B) {
	c, a, wire := benchmarkResponse(b, 800)
	var r response
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.scan(wire, false); err != nil {
			b.Fatal(err)
		}
		if _, err := a.apply(c, eds, &r); err != nil {
			b.Fatal(err)
		}
	}
}
