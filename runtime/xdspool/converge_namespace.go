package xdspool

import (
	"slices"
	"strings"
	"time"
)

// trackNamespace starts to follow the end of a namespace: a proxy holds it when it knows no cluster of its services.
func (t *tracker) trackNamespace(ch *change) {
	w := ch.config
	w.by, w.void = byVoid, "."+ch.Config.Object.Name+".svc."
	w.region = &regionWatch{sure: true}
	for _, c := range t.clients {
		if c != nil && c.open && c.knows(t.store, w.void) {
			ch.waiting.add(c.slot)
			ch.left++
		}
	}
	t.pending[ch] = struct{}{}
	t.regional = append(t.regional, ch)
}

// knows reports whether c has a cluster with text in its name.
func (c *client) knows(s *store, text string) bool {
	return slices.ContainsFunc(c.types[cds].table.entries, func(e entry) bool {
		return e.content != 0 && strings.Contains(s.names[e.name].key.name, text)
	})
}

// endNamespace closes what is on its way of a namespace whose end ch was accepted: what has not come by now never will, and
// what goes is gone with it.
func (t *tracker) endNamespace(ch *change, now time.Time) {
	ns := ch.Config.Object.Name
	for _, o := range t.store.objects {
		if o.key.Namespace == ns {
			o.gone = true
		}
	}
	for other := range t.pending {
		if !other.Removed && other.order < ch.order && other.within(ns) {
			t.supersede(other, now)
		}
	}
	for _, o := range t.store.objects {
		t.store.forgetObject(o)
	}
}

// within reports whether ch is of something in a namespace.
func (ch *change) within(ns string) bool {
	if ch.Config != nil {
		return ch.Config.Object.Namespace == ns
	}
	if strings.HasPrefix(ch.Workload, ns+"/") {
		return true
	}
	return slices.ContainsFunc(ch.Hosts, func(host string) bool { return strings.Contains(host, "."+ns+".svc.") })
}
