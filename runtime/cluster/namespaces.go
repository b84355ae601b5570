package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plscript/plscript/runtime"
)

// defaultAccount is the ServiceAccount that every namespace has.
const defaultAccount = "default"

// namespaceSeen is a Namespace as the api-server shows it now. Services may have been seen before it.
func (c *Cluster) namespaceSeen(ctx context.Context, obj *corev1.Namespace) {
	c.change(func(*effects) {
		ns := c.state.namespace(obj.Name)
		before := *ns
		ns.uid, ns.own, ns.terminating = obj.UID, c.isOwn(obj.Labels), obj.DeletionTimestamp != nil
		if ns.own != before.own || ns.terminating != before.terminating {
			for _, s := range ns.services {
				c.reselect(ns, s)
			}
		}
		first := ns.uid != before.uid
		if !c.cfg.Controllers && ns.own && !ns.terminating && (first || !before.own) {
			c.chores.add(func(ctx context.Context) { c.ensureAccount(ctx, obj.Name, 1) })
		}
		if ns.own && ns.terminating && (first || !before.terminating) && c.cfg.Drainer != nil {
			c.chores.add(func(ctx context.Context) { c.endNamespace(ctx, obj, 1) })
		}
	})
}

// namespaceGone forgets the Namespace. What was in it has been seen to go, or will be.
func (c *Cluster) namespaceGone(ctx context.Context, id identity) {
	c.change(func(*effects) {
		ns := c.state.namespace(id.name)
		if ns.uid != id.uid {
			return
		}
		ns.uid, ns.own, ns.terminating = "", false, false
		for _, s := range ns.services {
			c.reselect(ns, s)
		}
		if len(ns.pods) == 0 && len(ns.services) == 0 && len(ns.shown) == 0 {
			delete(c.state.namespaces, ns.name)
		}
	})
}

// ensureAccount makes the default ServiceAccount of a namespace if nobody else has. It reads first, so that a cluster
// with a ServiceAccount controller causes no collisions.
func (c *Cluster) ensureAccount(ctx context.Context, namespace string, try int) {
	_, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, defaultAccount, metav1.GetOptions{})
	switch {
	case err == nil || ctx.Err() != nil:
		return
	case !apierrors.IsNotFound(err):
		c.cfg.Log.Warn("a ServiceAccount cannot be read", "namespace", namespace, "err", err)
		c.later(try, func(ctx context.Context) { c.ensureAccount(ctx, namespace, try+1) })
		return
	}
	c.change(func(e *effects) {
		e.submit(runtime.Op{Verb: runtime.VerbCreate, Setup: true, Object: &corev1.ServiceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: defaultAccount},
		}})
	})
}

// endNamespace empties a terminating namespace and lets it go.
func (c *Cluster) endNamespace(ctx context.Context, obj *corev1.Namespace, try int) {
	again := func(try int) chore {
		return func(ctx context.Context) {
			if ns, _ := c.pods(obj.Name); ns == obj.UID {
				c.endNamespace(ctx, obj, try)
			}
		}
	}
	_, pods := c.pods(obj.Name)
	if err := c.cfg.Drainer.Drain(ctx, obj.Name); err != nil {
		switch {
		case ctx.Err() != nil:
		case pods > 0 && c.cfg.Kubelet.StopP50 > 0:
			c.later(1, again(try)) // they have been told to stop, and take their time
		default:
			c.cfg.Log.Warn("a namespace cannot be emptied yet", "namespace", obj.Name, "err", err)
			c.later(try, again(try+1))
		}
		return
	}
	c.change(func(e *effects) {
		e.submit(runtime.Op{Verb: runtime.VerbFinalize, Object: obj.DeepCopy(), Done: func(res runtime.Result) {
			if c.failed(ctx, "the end of a namespace", obj, res) {
				c.later(try, again(try+1))
			}
		}})
	})
}

// pods returns the uid of a namespace, "" if it is gone, and how many pods are in it.
func (c *Cluster) pods(namespace string) (types.UID, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ns := c.state.namespaces[namespace]
	if ns == nil {
		return "", 0
	}
	return ns.uid, len(ns.pods)
}
