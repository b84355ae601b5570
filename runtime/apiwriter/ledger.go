package apiwriter

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plscript/plscript/runtime"
)

// owned is what the writer remembers of an object that this run created.
type owned struct {
	uid     types.UID
	version string // the last resourceVersion that an answer carried
	measure string // the measure that counts it, or ""
}

// ledger remembers the objects that this run created and has not deleted. It makes a later write one request, bound
// to the very object (uid), and gives the created counts.
type ledger struct {
	mu     sync.Mutex
	byNS   map[string]map[objectID]owned // cluster-scoped objects under ""
	counts map[string]int64              // by measure
}

func newLedger() *ledger {
	return &ledger{byNS: map[string]map[objectID]owned{}, counts: map[string]int64{}}
}

func (l *ledger) lookup(id objectID) (owned, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.byNS[id.namespace][id]
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
		in := l.byNS[id.namespace]
		if in == nil {
			in = map[objectID]owned{}
			l.byNS[id.namespace] = in
		}
		o := owned{uid: a.object.GetUID(), version: a.object.GetResourceVersion(), measure: measureOf(id, a.object)}
		in[id] = o
		l.count(o, 1)
	case runtime.VerbUpdate, runtime.VerbStatus:
		if o, ok := l.byNS[id.namespace][id]; ok && o.uid == a.object.GetUID() {
			o.version = a.object.GetResourceVersion()
			l.byNS[id.namespace][id] = o
		}
	}
}

// forget drops id; a Namespace takes along what is in it, since nobody deletes that one by one.
func (l *ledger) forget(id objectID) {
	if id.kind == "Namespace" && id.group == "" {
		for _, o := range l.byNS[id.name] {
			l.count(o, -1)
		}
		delete(l.byNS, id.name)
	}
	in := l.byNS[id.namespace]
	if o, ok := in[id]; ok {
		l.count(o, -1)
		delete(in, id)
	}
}

func (l *ledger) count(o owned, by int64) {
	if o.measure != "" {
		l.counts[o.measure] += by
	}
}

func (l *ledger) read(r runtime.Readings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range []string{"namespaces.created", "services.created", "nodes.created", "pods.created"} {
		r[m] = l.counts[m]
	}
}

// measureOf is the measure that counts objects like obj.
func measureOf(id objectID, obj runtime.Object) string {
	if id.group != "" {
		return ""
	}
	switch id.kind {
	case "Namespace":
		return "namespaces.created"
	case "Service":
		return "services.created"
	case "Node":
		return "nodes.created"
	case "Pod":
		if _, ok := obj.(*corev1.Pod); ok && obj.GetLabels()[runtime.LabelRole] != runtime.RoleNodeAgent {
			return "pods.created"
		}
	}
	return ""
}
