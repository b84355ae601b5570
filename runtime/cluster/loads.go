package cluster

import (
	"context"
	"time"
)

// catchUp is how long the pods of a load are waited for after its end. They are seen within milliseconds, unless one
// was deleted while the watch was broken.
const catchUp = 10 * time.Second

// Loads knows into which namespaces many objects are being written at once. While that goes on, the slices of services
// whose pods have done nothing but come wait for its end: written once, instead of again with every few pods, they cost
// everybody who watches them a fraction.
type Loads interface {
	// Loading reports whether a load into the namespace is under way.
	Loading(namespace string) bool
	// OnLoaded has f called after each load, with the number of running pods that it has made.
	OnLoaded(f func(namespace string, pods int))
	// Seen reports that one of these pods was seen, so that loads do not run away from the watch.
	Seen()
}

// held reports whether the slices of s are left for the end of the load of its namespace.
func (c *Cluster) held(ns *namespace, s *service) bool {
	if c.cfg.Loads == nil || s.measured || ns.owed <= 0 && !c.cfg.Loads.Loading(ns.name) {
		return false
	}
	if !s.held {
		s.held = true
		ns.held = append(ns.held, s)
	}
	return true
}

// loaded has the slices written that were held, as soon as all pods of the load have been seen.
func (c *Cluster) loaded(ctx context.Context, namespace string, pods int) {
	c.change(func(*effects) {
		ns := c.state.namespace(namespace)
		ns.owed += pods
		if ns.owed <= 0 {
			c.letGo(ns)
			return
		}
		ns.loads++
		load := ns.loads
		c.times.add(c.cfg.Clock.Now().Add(catchUp), func(ctx context.Context) {
			c.change(func(*effects) {
				if ns.owed > 0 && ns.loads == load {
					c.letGo(ns)
				}
			})
		})
	})
}

// bornSeen notes a pod of the run that was running when it was first seen.
func (c *Cluster) bornSeen(ns *namespace) {
	if c.cfg.Loads == nil {
		return
	}
	c.cfg.Loads.Seen()
	if ns.owed--; ns.owed == 0 {
		c.letGo(ns)
	}
}

// letGo ends the wait of the namespace's services. Should another load be under way, they are held again.
func (c *Cluster) letGo(ns *namespace) {
	ns.owed = 0
	for _, s := range ns.held {
		s.held = false
		if s.changed {
			c.markDirty(s)
		}
	}
	ns.held = nil
}
