package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// waiter waits until pods are ready. It is guarded by Cluster.mu.
type waiter struct {
	left map[string]struct{} // keys of the pods
	done chan struct{}       // closed when none is left
}

// AwaitReady implements [runtime.Readiness].
func (c *Cluster) AwaitReady(ctx context.Context, keys []string) error {
	w := &waiter{left: map[string]struct{}{}, done: make(chan struct{})}
	c.mu.Lock()
	for _, key := range keys {
		if !c.state.isReady(key) {
			w.left[key] = struct{}{}
			c.state.awaited[key] = append(c.state.awaited[key], w)
		}
	}
	waits := len(w.left)
	c.mu.Unlock()
	if waits == 0 {
		return nil
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d of %d pods are not ready: %w", c.abandon(w), len(keys), context.Cause(ctx))
	}
}

// abandon forgets the waiter, and returns how many pods it still waited for.
func (c *Cluster) abandon(w *waiter) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range w.left {
		rest := slices.DeleteFunc(c.state.awaited[key], func(o *waiter) bool { return o == w })
		if c.state.awaited[key] = rest; len(rest) == 0 {
			delete(c.state.awaited, key)
		}
	}
	return len(w.left)
}

func (st *state) isReady(key string) bool {
	namespace, name, _ := strings.Cut(key, "/")
	ns := st.namespaces[namespace]
	return ns != nil && ns.pods[name] != nil && ns.pods[name].ready
}

// settled tells those who wait for the pod that it is ready, or gone.
func (st *state) settled(p *pod) {
	if len(st.awaited) == 0 {
		return
	}
	key := p.key()
	for _, w := range st.awaited[key] {
		if delete(w.left, key); len(w.left) == 0 {
			close(w.done)
		}
	}
	delete(st.awaited, key)
}
