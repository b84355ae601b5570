package cluster

import (
	"context"
	"hash/fnv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// A kubelet's defaults: nodeLeaseDurationSeconds, and a quarter of it between renewals.
const (
	leaseSeconds = 40
	renewEvery   = leaseSeconds * time.Second / 4
)

// spread is where in the interval a node renews, so that a thousand nodes do not do so at once.
func spread(name string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(name))
	return time.Duration(h.Sum32()) % renewEvery
}

// renewLease renews the Lease of n, or makes it if there is none, and again every renewEvery while the node is there.
func (c *Cluster) renewLease(ctx context.Context, n *node) {
	var lease *coordinationv1.Lease
	var own, busy bool
	c.mu.Lock()
	own, busy, lease = n.own, n.renews, n.lease
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: n.name, UID: n.uid}
	c.mu.Unlock()
	if !own {
		return
	}
	c.times.add(c.cfg.Clock.Now().Add(renewEvery), func(ctx context.Context) { c.renewLease(ctx, n) })
	if busy {
		return
	}
	verb := runtime.VerbUpdate
	if lease == nil {
		found, err := c.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, n.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			verb = runtime.VerbCreate
		case err != nil:
			c.cfg.Log.Warn("a node's lease cannot be read", "node", n.name, "err", err)
			return
		}
		lease = found
	}
	c.writeLease(ctx, n, verb, renewed(lease, owner, verb, c.cfg.Clock.Now()))
}

// renewed is the Lease to write over before, or the first one.
func renewed(before *coordinationv1.Lease, owner metav1.OwnerReference, verb runtime.Verb, now time.Time) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: corev1.NamespaceNodeLease, Name: owner.Name, OwnerReferences: []metav1.OwnerReference{owner},
	}}
	if verb == runtime.VerbUpdate {
		lease = before.DeepCopy()
		lease.ManagedFields = nil
	}
	seconds, at := int32(leaseSeconds), metav1.NewMicroTime(now)
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &owner.Name, &seconds, &at
	return lease
}

func (c *Cluster) writeLease(ctx context.Context, n *node, verb runtime.Verb, lease *coordinationv1.Lease) {
	c.change(func(e *effects) {
		n.renews = true
		e.submit(runtime.Op{Verb: verb, Object: lease, Setup: true, Done: func(res runtime.Result) {
			c.failed(ctx, "the renewal of a node's lease", lease, res) // the next renewal is its retry
			c.change(func(e *effects) {
				n.renews, n.lease = false, nil // unless it was written, it is read before the next renewal
				if l, ok := res.Object.(*coordinationv1.Lease); ok {
					n.lease = l
				}
				if !n.own {
					c.endLease(n, e)
				}
			})
		}})
	})
}

// endLease deletes the Lease of a node that is gone, as the garbage collector would by its owner.
func (c *Cluster) endLease(n *node, e *effects) {
	if n.lease == nil || n.renews {
		return
	}
	gone := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: n.lease.Namespace, Name: n.lease.Name, UID: n.lease.UID, Labels: n.lease.Labels,
	}}
	n.lease = nil
	e.submit(runtime.Op{Verb: runtime.VerbDelete, Object: gone})
}
