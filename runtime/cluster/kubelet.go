package cluster

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// podSeen is a pod as the api-server shows it now.
func (c *Cluster) podSeen(ctx context.Context, obj *corev1.Pod) {
	c.change(func(e *effects) {
		ns := c.state.namespace(obj.Namespace)
		p := ns.pods[obj.Name]
		first := p == nil
		if first {
			p = &pod{namespace: ns.name, name: obj.Name, uid: obj.UID, born: ready(obj)}
			ns.pods[p.name] = p
		}
		c.updatePod(ns, p, obj, first, e)
		c.runPod(ctx, p, e)
		if first && p.born && c.isOwn(obj.Labels) {
			c.bornSeen(ns)
		}
	})
}

// podGone is a pod that the api-server does not have any more.
func (c *Cluster) podGone(ctx context.Context, id identity) {
	c.change(func(e *effects) {
		if p := c.state.namespace(id.namespace).pods[id.name]; p != nil && p.uid == id.uid {
			c.forgetPod(p, e)
		}
	})
}

// updatePod takes over what obj says, and marks the services that have to follow: none, if they have seen it all before.
func (c *Cluster) updatePod(ns *namespace, p *pod, obj *corev1.Pod, first bool, e *effects) {
	c.uncount(p)
	if p.node != obj.Spec.NodeName {
		c.leaveNode(p, e)
	}
	before, ports := p.endpoint, p.ports
	relabelled := !maps.Equal(p.labels, obj.Labels)
	p.endpoint, p.ports = endpointSeen(obj), namedPorts(obj)
	p.labels = obj.Labels
	p.population = c.isOwn(obj.Labels) && obj.Labels[runtime.LabelRole] == ""
	p.grace = -1
	if g := obj.DeletionGracePeriodSeconds; g != nil {
		p.grace = *g
	}
	if p.toStart = nil; p.phase == pending {
		p.toStart = obj
	}
	if p.node != "" {
		n := c.state.node(p.node)
		p.node, n.pods[p] = n.name, struct{}{}
		if ip, err := netip.ParseAddr(p.ip); err == nil && p.phase != done && !obj.Spec.HostNetwork {
			n.take(ip, p)
		}
	}
	if changed := before != p.endpoint || !slices.Equal(ports, p.ports); changed || relabelled {
		p.born = p.born && first
		c.joinServices(ns, p, changed)
	}
	c.count(p)
	if p.ready {
		c.state.settled(p)
	}
}

func endpointSeen(obj *corev1.Pod) endpoint {
	return endpoint{
		node: obj.Spec.NodeName, hostname: obj.Spec.Hostname, subdomain: obj.Spec.Subdomain,
		ip: obj.Status.PodIP, phase: phaseOf(obj), ready: ready(obj), terminating: obj.DeletionTimestamp != nil,
	}
}

func (c *Cluster) forgetPod(p *pod, e *effects) {
	c.uncount(p)
	c.leaveNode(p, e)
	p.born = false
	for _, s := range p.services {
		delete(s.members, p)
		c.follow(s, p)
	}
	delete(c.state.namespace(p.namespace).pods, p.name)
	c.state.settled(p)
	c.tellGone(p, e)
}

// leaveNode frees the pod's address. Pods that were to get it are looked at again, after everyone has been told that the
// pod is gone: an address must not come back while a proxy still uses it.
func (c *Cluster) leaveNode(p *pod, e *effects) {
	n := c.state.nodes[p.node]
	if n == nil {
		return
	}
	delete(n.pods, p)
	if n.taken[p.taken] != p {
		return
	}
	n.free(p)
	waiting := n.waiting[p.taken]
	delete(n.waiting, p.taken)
	for _, next := range waiting {
		e.call(func() { c.chores.add(func(ctx context.Context) { c.revisit(ctx, next) }) })
	}
}

// count and uncount keep the sums; the pod must not change between them.
func (c *Cluster) count(p *pod) { c.addCounts(p, 1) }

func (c *Cluster) uncount(p *pod) { c.addCounts(p, -1) }

func (c *Cluster) addCounts(p *pod, by int) {
	if p.counts() {
		c.state.podsReady += by
	}
	if p.terminating && p.phase != done && c.isOwn(p.labels) {
		c.state.podsTerminating += by
	}
	for _, s := range p.services {
		n := by * s.addresses(p)
		s.desired += n
		c.state.endpointsDesired += n
	}
}

// runPod does what the kubelet of the pod's node would do next.
func (c *Cluster) runPod(ctx context.Context, p *pod, e *effects) {
	own := p.node != "" && c.state.node(p.node).own
	switch {
	case own && p.terminating:
		c.endPod(ctx, p, e)
	case own && p.phase == pending:
		c.startPod(ctx, p, e)
	case (own || c.isOwn(p.labels)) && p.phase == running && p.ip != "" && !p.told:
		p.told = true
		if c.cfg.Pods != nil {
			key, ip := p.key(), p.ip
			e.call(func() { c.cfg.Pods.PodRunning(key, ip) })
		}
		if own {
			c.planFlaps(p)
		}
	}
}

// startPod writes the status of a pod whose containers have just become ready.
func (c *Cluster) startPod(ctx context.Context, p *pod, e *effects) {
	if p.writing || c.starting(p) {
		return
	}
	n, obj := c.state.node(p.node), p.toStart
	if n.held(p, obj) {
		return
	}
	ip, ok := n.address(p, obj)
	if !ok {
		c.cfg.Log.Warn("a pod has no address: its node's podCIDR is empty or used up", "namespace", p.namespace, "name", p.name, "node", p.node)
		return
	}
	p.writing = true
	started := obj.DeepCopy()
	started.Status = runningStatus(obj, n.ip, ip, metav1.NewTime(c.cfg.Clock.Now()))
	e.submit(runtime.Op{Verb: runtime.VerbStatus, Object: started, Done: func(res runtime.Result) {
		if c.failed(ctx, "the status of a pod", obj, res) {
			c.revisitLater(ctx, p)
		}
	}})
}

// starting reports whether the pod's containers still need time to get ready; the pod is looked at again when they are.
func (c *Cluster) starting(p *pod) bool {
	if c.cfg.Kubelet.StartP50 <= 0 {
		return false
	}
	now := c.cfg.Clock.Now()
	if p.startAt.IsZero() {
		p.startAt = now.Add(c.cfg.Kubelet.startDelay(c.cfg.Kubelet.generator("start", p.key())))
		c.times.add(p.startAt, func(ctx context.Context) { c.revisit(ctx, p) })
	}
	return now.Before(p.startAt)
}

// revisitLater tries again what failed for the pod.
func (c *Cluster) revisitLater(ctx context.Context, p *pod) {
	c.change(func(*effects) {
		p.failures++
		c.later(p.failures, func(ctx context.Context) {
			c.change(func(*effects) { p.writing, p.deleting = false, false })
			c.revisit(ctx, p)
		})
	})
}

// revisit looks at a pod again that was seen before.
func (c *Cluster) revisit(ctx context.Context, p *pod) {
	c.change(func(e *effects) {
		if c.state.has(p) {
			c.runPod(ctx, p, e)
		}
	})
}

// nodeSeen is a Node as the api-server shows it now. Pods may have been seen before it.
func (c *Cluster) nodeSeen(ctx context.Context, obj *corev1.Node) {
	var waiting []*pod
	c.change(func(*effects) {
		n := c.state.node(obj.Name)
		_, marked := obj.Labels[runtime.LabelClass]
		cidr, _ := netip.ParsePrefix(obj.Spec.PodCIDR) // without a range, only planned addresses
		own := marked && c.isOwn(obj.Labels)
		zone := zoneOf(obj)
		moved, starts := value(n.zone) != value(zone), own && (!n.own || n.cidr != cidr)
		n.uid, n.own, n.zone, n.cidr, n.ip = obj.UID, own, zone, cidr, internalIP(obj)
		for p := range n.pods {
			if starts {
				waiting = append(waiting, p)
			}
			if moved {
				for _, s := range p.services {
					c.markDirty(s)
				}
			}
		}
		if n.own && !n.leased && c.phantoms == nil {
			n.leased = true
			c.times.add(c.cfg.Clock.Now().Add(spread(n.name)), func(ctx context.Context) { c.renewLease(ctx, n) })
		}
	})
	slices.SortFunc(waiting, comparePods)
	for _, p := range waiting {
		c.revisit(ctx, p)
	}
}

func (c *Cluster) nodeGone(ctx context.Context, id identity) {
	c.change(func(e *effects) {
		n := c.state.node(id.name)
		n.own = false
		c.endLease(n, e)
		// Pods that are still on it wait for a node of that name.
		next := newNode(n.name)
		next.taken, next.waiting, next.pods = n.taken, n.waiting, n.pods
		c.state.nodes[n.name] = next
		if len(n.pods) == 0 {
			delete(c.state.nodes, n.name)
		}
	})
}

// zoneOf is the zone that a node is in, nil if it is in none.
func zoneOf(n *corev1.Node) *string {
	if zone := n.Labels[corev1.LabelTopologyZone]; zone != "" {
		return &zone
	}
	return nil
}

func internalIP(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}
