package cluster

import (
	"cmp"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// maxEndpoints is how many endpoints a slice takes, as in Kubernetes (--max-endpoints-per-slice).
const maxEndpoints = 100

// group is the endpoints of a Service that have the same ports. A named target port may be another number on each pod,
// so a Service can have several.
type group struct {
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint // in any order
}

// endpointID is what makes two endpoints the same one with other conditions.
type endpointID struct{ uid, address string }

func idOf(e *discoveryv1.Endpoint) (id endpointID) {
	if e.TargetRef != nil {
		id.uid = string(e.TargetRef.UID)
	}
	if len(e.Addresses) > 0 {
		id.address = e.Addresses[0]
	}
	return id
}

// rewrite is what has to be written so that the slices of a Service hold its endpoints.
type rewrite struct {
	create []*discoveryv1.EndpointSlice // named by the caller
	update []*discoveryv1.EndpointSlice
	remove []*discoveryv1.EndpointSlice
}

func (r *rewrite) empty() bool { return len(r.create)+len(r.update)+len(r.remove) == 0 }

// plan computes the rewrite from existing to want. blank has what all slices of the Service have in common. It touches
// as few slices as Kubernetes' reconciler does: an endpoint stays where it is; new ones fill the slices that change
// anyway, then a slice that takes all the rest, then new slices. A Service without endpoints has one empty slice.
// existing and its slices are not changed.
func plan(blank *discoveryv1.EndpointSlice, existing []*discoveryv1.EndpointSlice, want map[string]group) rewrite {
	byPorts := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range existing {
		key := portKey(s.Ports)
		byPorts[key] = append(byPorts[key], s)
	}
	if len(want) == 0 {
		want = map[string]group{portKey(nil): {}}
	}
	var out rewrite
	for _, key := range sortedKeys(want) {
		fill(blank, byPorts[key], want[key], &out)
		delete(byPorts, key)
	}
	for _, key := range sortedKeys(byPorts) {
		out.remove = append(out.remove, byPorts[key]...)
	}
	out.recycle()
	return out
}

// place is a slice while its endpoints are being placed.
type place struct {
	old       *discoveryv1.EndpointSlice
	endpoints []discoveryv1.Endpoint
	changed   bool
}

// fill plans the slices of one group.
func fill(blank *discoveryv1.EndpointSlice, existing []*discoveryv1.EndpointSlice, g group, out *rewrite) {
	missing := g.endpoints
	var wanted map[endpointID]*discoveryv1.Endpoint
	if len(existing) > 0 {
		wanted = byID(g.endpoints)
	}
	places := make([]*place, 0, len(existing))
	for _, s := range existing {
		places = append(places, keep(blank, s, wanted))
	}
	if len(existing) > 0 {
		missing = make([]discoveryv1.Endpoint, 0, len(wanted))
		for _, e := range wanted {
			missing = append(missing, *e)
		}
	}
	// The fullest first, so that few slices stay half empty.
	slices.SortStableFunc(places, func(a, b *place) int { return cmp.Compare(len(b.endpoints), len(a.endpoints)) })
	added := inOrder(missing)
	for _, p := range places {
		if p.changed {
			n := min(len(added), maxEndpoints-len(p.endpoints))
			p.endpoints, added = append(p.endpoints, added[:n]...), added[n:]
		}
	}
	for len(added) > 0 {
		if p := roomFor(places, len(added)); p != nil {
			p.endpoints, p.changed = append(p.endpoints, added...), true
			break
		}
		n := min(len(added), maxEndpoints)
		out.create = append(out.create, sliceOf(blank, nil, g.ports, added[:n:n]))
		added = added[n:]
	}
	settle(blank, places, g, out)
}

// settle adds what becomes of the places: changed, unchanged or, where they are empty, removed.
func settle(blank *discoveryv1.EndpointSlice, places []*place, g group, out *rewrite) {
	spare := len(g.endpoints) == 0 // one empty slice belongs to a Service without endpoints
	for _, p := range places {
		empty := len(p.endpoints) == 0
		switch {
		case empty && !spare:
			out.remove = append(out.remove, p.old)
		case p.changed:
			out.update = append(out.update, sliceOf(blank, p.old, g.ports, p.endpoints))
		}
		spare = spare && !empty
	}
	if spare {
		out.create = append(out.create, sliceOf(blank, nil, g.ports, nil))
	}
}

// keep takes over the endpoints of s that are still wanted, as they are now, and takes them out of wanted.
func keep(blank, s *discoveryv1.EndpointSlice, wanted map[endpointID]*discoveryv1.Endpoint) *place {
	p := &place{old: s, changed: !sameLabels(blank, s)}
	for i := range s.Endpoints {
		id := idOf(&s.Endpoints[i])
		now, ok := wanted[id]
		if !ok {
			p.changed = true
			continue
		}
		delete(wanted, id)
		p.changed = p.changed || !sameEndpoint(now, &s.Endpoints[i])
		p.endpoints = append(p.endpoints, *now)
	}
	return p
}

// roomFor is the unchanged slice that n more endpoints fill best, if they all fit.
func roomFor(places []*place, n int) *place {
	for _, p := range places { // the fullest first
		if !p.changed && len(p.endpoints) > 0 && len(p.endpoints)+n <= maxEndpoints {
			return p
		}
	}
	return nil
}

// recycle turns a create and a remove into an update: one write instead of two.
func (r *rewrite) recycle() {
	for len(r.create) > 0 && len(r.remove) > 0 {
		made, old := r.create[len(r.create)-1], r.remove[len(r.remove)-1]
		r.create, r.remove = r.create[:len(r.create)-1], r.remove[:len(r.remove)-1]
		r.update = append(r.update, sliceOf(made, old, made.Ports, made.Endpoints))
	}
}

// holds reports whether s is made, as far as slices are planned.
func holds(s, made *discoveryv1.EndpointSlice) bool {
	return sameLabels(made, s) && portKey(made.Ports) == portKey(s.Ports) &&
		slices.EqualFunc(made.Endpoints, s.Endpoints, func(a, b discoveryv1.Endpoint) bool {
			return idOf(&a) == idOf(&b) && sameEndpoint(&a, &b)
		})
}

// sliceOf is a slice in the place of old, or a new one. It shares nothing that is written to.
func sliceOf(blank, old *discoveryv1.EndpointSlice, ports []discoveryv1.EndpointPort, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	s := *blank
	if old != nil {
		s.ObjectMeta = old.ObjectMeta
		s.Labels, s.OwnerReferences, s.ManagedFields = blank.Labels, blank.OwnerReferences, nil
	}
	s.Ports, s.Endpoints = ports, endpoints
	return &s
}

// sameLabels reports whether s carries the labels and the owner that all slices of the Service have.
func sameLabels(blank, s *discoveryv1.EndpointSlice) bool {
	return equality.Semantic.DeepEqual(blank.Labels, s.Labels) &&
		equality.Semantic.DeepEqual(blank.OwnerReferences, s.OwnerReferences)
}

func byID(endpoints []discoveryv1.Endpoint) map[endpointID]*discoveryv1.Endpoint {
	m := make(map[endpointID]*discoveryv1.Endpoint, len(endpoints))
	for i := range endpoints {
		m[idOf(&endpoints[i])] = &endpoints[i]
	}
	return m
}

// inOrder sorts endpoints by pod and address, each of them once.
func inOrder(endpoints []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	slices.SortFunc(endpoints, func(a, b discoveryv1.Endpoint) int {
		if a.TargetRef != nil && b.TargetRef != nil && a.TargetRef.Name != b.TargetRef.Name {
			return strings.Compare(a.TargetRef.Name, b.TargetRef.Name)
		}
		return strings.Compare(idOf(&a).address, idOf(&b).address)
	})
	return slices.CompactFunc(endpoints, func(a, b discoveryv1.Endpoint) bool { return idOf(&a) == idOf(&b) })
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
