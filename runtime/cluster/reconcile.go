package cluster

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// slice is an EndpointSlice as last answered or watched. It is never changed, only replaced.
type slice = discoveryv1.EndpointSlice

// markDirty has s planned: at once, or when what is under way for it has ended, or the load of its namespace (loads.go).
// That is all the coalescing there is; no timer holds anything back.
func (c *Cluster) markDirty(s *service) {
	s.changed = true
	if s.queued || s.inflight > 0 || s.gone || s.held && !s.measured {
		return
	}
	s.queued = true
	c.dirty.add(s)
}

// doSlices plans the services that changed, one after the other.
func (c *Cluster) doSlices(ctx context.Context) {
	for {
		s, ok := c.dirty.next(ctx)
		if !ok {
			return
		}
		c.change(func(e *effects) { c.reconcile(ctx, s, e) })
	}
}

// reconcile asks for the writes that s needs.
func (c *Cluster) reconcile(ctx context.Context, s *service, e *effects) {
	ns := c.state.namespace(s.namespace)
	s.queued = false
	if !s.changed || !c.keeps(ns, s) || c.held(ns, s) {
		return
	}
	setup := !s.measured
	s.changed, s.measured = false, false
	existing := make([]*slice, 0, len(s.slices))
	for _, name := range sortedKeys(s.slices) {
		existing = append(existing, s.slices[name])
	}
	r := plan(blankSlice(s, c.cfg.RunID), existing, c.state.groupsOf(s))
	next := s.attempt * maxEndpoints
	for _, made := range r.create {
		for made.Name == "" || s.slices[made.Name] != nil {
			made.Name = sliceName(s, next)
			next++
		}
		c.write(ctx, s, runtime.VerbCreate, made, setup, e)
	}
	for _, changed := range r.update {
		c.write(ctx, s, runtime.VerbUpdate, changed, setup, e)
	}
	for _, old := range r.remove {
		c.removeSlice(ctx, s, old, e)
	}
}

// write submits one slice; what changes meanwhile waits for its end.
func (c *Cluster) write(ctx context.Context, s *service, verb runtime.Verb, made *slice, setup bool, e *effects) {
	s.inflight++
	op, name := runtime.Op{Verb: verb, Object: made, Setup: setup}, made.Name
	op.Done = func(res runtime.Result) {
		failed := c.failed(ctx, "a write of an EndpointSlice", made, res)
		c.change(func(e *effects) {
			switch answered, ok := res.Object.(*slice); {
			case ok && newer(answered, s.slices[name]):
				answered.ManagedFields = nil
				s.slices[name] = answered
				// A create may have met a slice that an earlier Service of that name left: it is planned with.
				s.changed = s.changed || verb == runtime.VerbCreate && !holds(answered, made)
			case apierrors.IsNotFound(res.Err) && verb == runtime.VerbUpdate:
				delete(s.slices, name) // somebody deleted it: it is made again
				s.changed = true
			}
			c.written(s, failed, e)
		})
	}
	e.submit(op)
}

// removeSlice forgets a slice at once, so that it is not planned with, and deletes it.
func (c *Cluster) removeSlice(ctx context.Context, s *service, old *slice, e *effects) {
	delete(s.slices, old.Name)
	s.inflight++
	gone := &slice{ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name, UID: old.UID, Labels: old.Labels}}
	e.submit(runtime.Op{Verb: runtime.VerbDelete, Object: gone, Done: func(res runtime.Result) {
		failed := c.failed(ctx, "the delete of an EndpointSlice", gone, res)
		c.change(func(e *effects) {
			if failed {
				s.slices[old.Name] = old
			}
			c.written(s, failed, e)
		})
	}})
}

// written ends one write of s, and does what had to wait for it.
func (c *Cluster) written(s *service, failed bool, e *effects) {
	s.inflight--
	if failed {
		s.attempt++
		c.later(s.attempt, func(ctx context.Context) {
			c.change(func(*effects) { c.markDirty(s) })
		})
	}
	switch {
	case s.inflight > 0:
	case s.gone:
		c.removeSlices(c.state.namespace(s.namespace), s, e)
	case s.changed && !failed:
		c.markDirty(s)
	}
}

// removeSlices deletes the slices of a Service that is gone. Those of a terminating namespace go with it.
func (c *Cluster) removeSlices(ns *namespace, s *service, e *effects) {
	for _, name := range sortedKeys(s.slices) {
		old := s.slices[name]
		delete(s.slices, name)
		if ns.terminating {
			continue
		}
		e.submit(runtime.Op{Verb: runtime.VerbDelete, Object: &slice{ObjectMeta: metav1.ObjectMeta{
			Namespace: old.Namespace, Name: old.Name, UID: old.UID, Labels: old.Labels,
		}}})
	}
}

// sliceSeen is an EndpointSlice as the api-server shows it now. One that somebody else has changed is put right.
func (c *Cluster) sliceSeen(ctx context.Context, obj *slice) {
	if by := obj.Labels[discoveryv1.LabelManagedBy]; by != managedBy && by != managedByUs {
		return
	}
	obj.ManagedFields = nil
	c.change(func(*effects) {
		ns := c.state.namespace(obj.Namespace)
		name := obj.Labels[discoveryv1.LabelServiceName]
		before, now := ns.shown[obj.Name], shownSlice{service: name}
		if c.isOwn(obj.Labels) {
			now.ready = readyAddresses(obj)
		}
		c.state.endpointsReady += now.ready - before.ready
		ns.shown[obj.Name] = now
		s := ns.services[name]
		if s != nil && newer(obj, s.slices[obj.Name]) && ownedBy(obj, s) {
			s.slices[obj.Name] = obj
			c.markDirty(s)
		}
	})
}

func (c *Cluster) sliceGone(ctx context.Context, id identity) {
	c.change(func(*effects) {
		ns := c.state.namespace(id.namespace)
		last := ns.shown[id.name]
		c.state.endpointsReady -= last.ready
		delete(ns.shown, id.name)
		s := ns.services[last.service]
		if s == nil {
			return
		}
		if known := s.slices[id.name]; known != nil && known.UID == id.uid {
			delete(s.slices, id.name)
			c.markDirty(s)
		}
	})
}

func ownedBy(obj *slice, s *service) bool {
	return slices.ContainsFunc(obj.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == s.uid })
}

// newer reports whether a says more than b, which may be nil. Since Kubernetes 1.35 resource versions are defined to
// be comparable as numbers of any length.
func newer(a, b *slice) bool {
	if b == nil || a.UID != b.UID {
		return true
	}
	return compareVersions(a.ResourceVersion, b.ResourceVersion) > 0
}

func compareVersions(a, b string) int {
	if _, err := strconv.ParseUint(a, 10, 64); err != nil {
		return 1
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func comparePods(a, b *pod) int { return strings.Compare(a.key(), b.key()) }
