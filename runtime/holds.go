package runtime

import (
	"sync"
	"sync/atomic"
)

// holds keeps the writes of a pod in order, and that of its namespace's end behind them, while the pod is planned, or with
// istiod, and the writer does not know it yet.
type holds struct {
	planning sync.Mutex // held from the choice of a pod until its create is reserved

	mu   sync.Mutex
	pods map[heldPod]*hold
}

type heldPod struct{ namespace, name string }

// hold is a pod that is planned or with istiod.
type hold struct {
	after    []func() // what waits for it
	reserved bool     // its create has still to be submitted
}

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
	reserved := in.createsPod() && h.pods[in.held()] != nil
	switch {
	case reserved:
		h.pods[in.held()].reserved = false
	case in.holds():
		h.pods[in.held()] = &hold{}
	}
	h.mu.Unlock()
	start()
	if reserved && !in.holds() {
		h.letGo(in.held())
	}
}

// plan has an action choose what to do, and reserves the pods that it means to create: until their creates are submitted
// or released, what another step has to do with these pods waits.
func (h *holds) plan(choose func() ([]Intent, error)) ([]Intent, error) {
	h.planning.Lock()
	defer h.planning.Unlock()
	intents, err := choose()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range intents {
		if in.createsPod() && h.pods[in.held()] == nil {
			h.pods[in.held()] = &hold{reserved: true}
		}
	}
	return intents, nil
}

// release gives up the reservations of creates that are not submitted after all.
func (h *holds) release(intents []Intent) {
	for _, in := range intents {
		h.mu.Lock()
		x := h.pods[in.held()]
		reserved := in.createsPod() && x != nil && x.reserved
		h.mu.Unlock()
		if reserved {
			h.letGo(in.held())
		}
	}
}

// ahead are the pods that the intent has to wait for.
func (h *holds) ahead(in Intent) []*hold {
	switch {
	case len(h.pods) == 0:
	case in.Kind == "Pod":
		if x := h.pods[in.held()]; x != nil && !(x.reserved && in.createsPod()) {
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
	if in.holds() {
		h.letGo(in.held())
	}
}

func (h *holds) letGo(k heldPod) {
	h.mu.Lock()
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

func (in Intent) held() heldPod { return heldPod{in.Namespace, in.Name} }

func (in Intent) createsPod() bool { return in.Kind == "Pod" && in.Verb == VerbCreate }

// holds reports whether the intent's pod is away before it is written, or known only when it is.
func (in Intent) holds() bool {
	return in.Verb == VerbCreate && (in.Injection == InjectDirect || in.Injection == InjectWebhook)
}
