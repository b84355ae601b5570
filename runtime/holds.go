package runtime

import (
	"sync"
	"sync/atomic"
)

// holds keeps the writes of a pod in order, and that of its namespace's end behind them, while the pod is with istiod and
// the writer does not know it yet.
type holds struct {
	mu   sync.Mutex
	pods map[heldPod]*hold
}

type heldPod struct{ namespace, name string }

// hold is a pod that is with istiod.
type hold struct{ after []func() } // what waits for it

func newHolds() *holds { return &holds{pods: map[heldPod]*hold{}} }

// enter calls start, at once or when those ahead have left. A pod that gets its sidecar stays until leave.
func (h *holds) enter(in Intent, start func()) {
	h.mu.Lock()
	if ahead := h.ahead(in); len(ahead) > 0 {
		left := &atomic.Int64{}
		left.Store(int64(len(ahead)))
		for _, x := range ahead {
			x.after = append(x.after, func() {
				if left.Add(-1) == 0 {
					h.enter(in, start)
				}
			})
		}
		h.mu.Unlock()
		return
	}
	if in.holds() {
		h.pods[heldPod{in.Namespace, in.Name}] = &hold{}
	}
	h.mu.Unlock()
	start()
}

// ahead are the pods that the intent has to wait for.
func (h *holds) ahead(in Intent) []*hold {
	switch {
	case len(h.pods) == 0:
	case in.Kind == "Pod":
		if x := h.pods[heldPod{in.Namespace, in.Name}]; x != nil {
			return []*hold{x}
		}
	case in.Kind == "Namespace" && in.Verb == VerbDelete:
		var out []*hold
		for k, x := range h.pods {
			if k.namespace == in.Name {
				out = append(out, x)
			}
		}
		return out
	}
	return nil
}

// leave lets go what waits for the intent's pod.
func (h *holds) leave(in Intent) {
	if !in.holds() {
		return
	}
	h.mu.Lock()
	k := heldPod{in.Namespace, in.Name}
	x := h.pods[k]
	delete(h.pods, k)
	h.mu.Unlock()
	if x == nil {
		return
	}
	for _, f := range x.after {
		f()
	}
}

// holds reports whether the intent's pod is away before it is written, or known only when it is.
func (in Intent) holds() bool {
	return in.Verb == VerbCreate && (in.Injection == InjectDirect || in.Injection == InjectWebhook)
}
