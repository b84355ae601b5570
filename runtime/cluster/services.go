package cluster

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/plscript/plscript/runtime"
)

// serviceSeen is a Service as the api-server shows it now. Its slices are looked at only if something that they depend on
// has changed: istiod writes into the status of a Service behind a waypoint, again and again.
func (c *Cluster) serviceSeen(ctx context.Context, obj *corev1.Service) {
	c.change(func(*effects) {
		ns := c.state.namespace(obj.Namespace)
		own := c.isOwn(obj.Labels)
		selector, annotated := selectorOf(obj, own)
		now := serviceSpec{labels: obj.Labels, selector: selector, ports: obj.Spec.Ports, serviceTraits: serviceTraits{
			annotated: annotated, own: own,
			external:        obj.Spec.Type == corev1.ServiceTypeExternalName,
			headless:        obj.Spec.ClusterIP == corev1.ClusterIPNone,
			publishNotReady: obj.Spec.PublishNotReadyAddresses,
		}}
		s := ns.services[obj.Name]
		switch {
		case s == nil:
			s = &service{namespace: ns.name, name: obj.Name, uid: obj.UID, members: map[*pod]struct{}{}, slices: map[string]*slice{}}
			ns.services[s.name] = s
		case s.equal(&now):
			return
		}
		c.respecify(ns, s, now)
	})
}

// respecify has s and its slices follow what its Service says now.
func (c *Cluster) respecify(ns *namespace, s *service, now serviceSpec) {
	ns.unindex(s)
	c.deselect(s)
	s.serviceSpec = now
	ns.index(s)
	c.reselect(ns, s)
	c.markDirty(s)
}

func (c *Cluster) serviceGone(ctx context.Context, id identity) {
	c.change(func(e *effects) {
		ns := c.state.namespace(id.namespace)
		if s := ns.services[id.name]; s != nil && s.uid == id.uid {
			c.forgetService(ns, s, e)
		}
	})
}

// selectorOf is what selects the pods of a Service: its selector, or where it has none the annotation in its place.
func selectorOf(obj *corev1.Service, own bool) (selector map[string]string, annotated bool) {
	text := obj.Annotations[runtime.AnnotationSelector]
	if len(obj.Spec.Selector) > 0 || !own || text == "" {
		return obj.Spec.Selector, false
	}
	selector, err := labels.ConvertSelectorToLabelsMap(text)
	return selector, err == nil
}

// keeps reports whether the slices of s are the cluster's to write.
func (c *Cluster) keeps(ns *namespace, s *service) bool {
	return ns.counted(s) && (s.annotated || !c.cfg.Controllers)
}

// forgetService drops s; its slices go with it, as its owner references ask.
func (c *Cluster) forgetService(ns *namespace, s *service, e *effects) {
	c.deselect(s)
	ns.unindex(s)
	delete(ns.services, s.name)
	s.gone = true
	if s.inflight == 0 {
		c.removeSlices(ns, s, e)
	}
}

// deselect takes the pods out of s.
func (c *Cluster) deselect(s *service) {
	c.state.endpointsDesired -= s.desired
	s.desired, s.selected = 0, false
	for p := range s.members {
		p.leave(s)
	}
	clear(s.members)
}

// reselect finds the pods of s anew, after its selector or the right to keep its slices has changed.
func (c *Cluster) reselect(ns *namespace, s *service) {
	c.deselect(s)
	if !ns.counted(s) {
		return
	}
	s.selected = true
	for _, p := range ns.pods {
		if s.selects(p) {
			c.join(s, p)
		}
	}
	c.markDirty(s)
}

func (c *Cluster) join(s *service, p *pod) {
	s.members[p] = struct{}{}
	p.services = append(p.services, s)
	n := s.addresses(p)
	s.desired += n
	c.state.endpointsDesired += n
}

func (p *pod) leave(s *service) {
	p.services = slices.DeleteFunc(p.services, func(o *service) bool { return o == s })
}

// joinServices finds the services of a pod that was seen, and has those follow that gain or lose it, and if it has changed
// those that keep it. The counts of the pod are taken out before.
func (c *Cluster) joinServices(ns *namespace, p *pod, changed bool) {
	p.services = slices.DeleteFunc(p.services, func(s *service) bool {
		lost := !s.selects(p)
		if lost {
			delete(s.members, p)
		}
		if lost || changed {
			c.follow(s, p)
		}
		return lost
	})
	for key, value := range p.labels {
		for _, s := range ns.bySelector[labelPair{key, value}] {
			if !s.selected || !s.selects(p) || slices.Contains(p.services, s) {
				continue
			}
			s.members[p] = struct{}{}
			p.services = append(p.services, s)
			c.follow(s, p)
		}
	}
}

// follow has the slices of s planned after p has changed.
func (c *Cluster) follow(s *service, p *pod) {
	s.measured = s.measured || !p.born
	c.markDirty(s)
}

// selects reports whether the pod has all labels that s asks for.
func (s *service) selects(p *pod) bool {
	for k, v := range s.selector {
		if got, ok := p.labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// pair is the one by which s is found: any will do, if it is always the same.
func (s *service) pair() (first labelPair, ok bool) {
	for k, v := range s.selector {
		if !ok || k < first.key {
			first, ok = labelPair{k, v}, true
		}
	}
	return first, ok
}

func (ns *namespace) index(s *service) {
	if pair, ok := s.pair(); ok {
		ns.bySelector[pair] = append(ns.bySelector[pair], s)
	}
}

func (ns *namespace) unindex(s *service) {
	pair, ok := s.pair()
	if !ok {
		return
	}
	rest := slices.DeleteFunc(ns.bySelector[pair], func(o *service) bool { return o == s })
	if ns.bySelector[pair] = rest; len(rest) == 0 {
		delete(ns.bySelector, pair)
	}
}
