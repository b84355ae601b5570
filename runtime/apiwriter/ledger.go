package apiwriter

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plscript/plscript/runtime"
)

// owned is what the writer remembers of an object that this run created. There is one for each pod of the mesh.
type owned struct {
	uid     types.UID
	version string // the last resourceVersion that an answer carried
	counted bool   // in the measure of its kind
}

// shelf names the objects of one kind.
type shelf struct{ group, kind string }

// ledger remembers the objects that this run created and has not deleted. It makes a later write one request, bound
// to the very object (uid), and gives the created counts.
type ledger struct {
	mu     sync.Mutex
	byNS   map[string]map[shelf]map[string]owned // by namespace ("" for what is in none), kind and name
	counts map[string]int64                      // by measure
}

func newLedger() *ledger {
	return &ledger{byNS: map[string]map[shelf]map[string]owned{}, counts: map[string]int64{}}
}

func (id objectID) shelf() shelf { return shelf{id.group, id.kind} }

func (l *ledger) lookup(id objectID) (owned, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.byNS[id.namespace][id.shelf()][id.name]
	return o, ok
}

// record takes note of a write that the api-server has accepted.
func (l *ledger) record(verb runtime.Verb, id objectID, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch verb {
	case runtime.VerbDelete, runtime.VerbFinalize:
		l.forget(id)
	case runtime.VerbCreate:
		l.forget(id) // a retried create must not count twice
		o := owned{uid: a.object.GetUID(), version: a.object.GetResourceVersion(), counted: counts(id, a.object)}
		l.in(id)[id.name] = o
		l.count(id.kind, o, 1)
	case runtime.VerbUpdate, runtime.VerbStatus:
		in := l.byNS[id.namespace][id.shelf()]
		if o, ok := in[id.name]; ok && o.uid == a.object.GetUID() {
			o.version = a.object.GetResourceVersion()
			in[id.name] = o
		}
	}
}

// in finds the place of an object like id, or makes one.
func (l *ledger) in(id objectID) map[string]owned {
	ns := l.byNS[id.namespace]
	if ns == nil {
		ns = map[shelf]map[string]owned{}
		l.byNS[id.namespace] = ns
	}
	in := ns[id.shelf()]
	if in == nil {
		in = map[string]owned{}
		ns[id.shelf()] = in
	}
	return in
}

// forget drops id; a Namespace takes along what is in it, since nobody deletes that one by one.
func (l *ledger) forget(id objectID) {
	if id.kind == "Namespace" && id.group == "" {
		for of, in := range l.byNS[id.name] {
			for _, o := range in {
				l.count(of.kind, o, -1)
			}
		}
		delete(l.byNS, id.name)
	}
	in := l.byNS[id.namespace][id.shelf()]
	if o, ok := in[id.name]; ok {
		l.count(id.kind, o, -1)
		delete(in, id.name)
	}
}

func (l *ledger) count(kind string, o owned, by int64) {
	if o.counted {
		l.counts[measures[kind]] += by
	}
}

func (l *ledger) read(r runtime.Readings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range measures {
		r[m] = l.counts[m]
	}
}

// measures count the objects of a kind of the core group.
var measures = map[string]string{
	"Namespace": "namespaces.created", "Service": "services.created", "Node": "nodes.created", "Pod": "pods.created",
}

// counts reports whether obj counts in the measure of its kind.
func counts(id objectID, obj runtime.Object) bool {
	if id.group != "" || measures[id.kind] == "" {
		return false
	}
	if id.kind != "Pod" {
		return true
	}
	_, ok := obj.(*corev1.Pod)
	return ok && obj.GetLabels()[runtime.LabelRole] != runtime.RoleNodeAgent
}
