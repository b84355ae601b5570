package runtime

import (
	"sync"
	"sync/atomic"
)

// holds keeps the writes of an object in order while it is planned, or with istiod, and the writer does not know it yet;
// and the end of a namespace behind all that is being made in it.
type holds struct {
	planning sync.Mutex // held from the choice of an object until its create is reserved

	mu      sync.Mutex
	objects map[heldObject]*hold
	filling map[string]*hold // the creates that are under way in each namespace
}

type heldObject struct{ kind, namespace, name string }

// hold is an object that is planned or with istiod, or a namespace that is being filled.
type hold struct {
	after []func() // what waits for it
	owner *Env     // whose create has still to be submitted; nil for one that is with istiod
	count int      // of creates under way
}

func newHolds() *holds { return &holds{objects: map[heldObject]*hold{}, filling: map[string]*hold{}} }

// enter calls start, at once or when those ahead have left. A pod that gets its sidecar stays until leave. Every intent that
// entered has to be given to [holds.ended].
func (h *holds) enter(in *Intent, start func()) {
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
	reserved := in.creates() && h.objects[in.held()] != nil
	switch {
	case reserved:
		h.objects[in.held()].owner = nil
	case in.holds():
		h.objects[in.held()] = &hold{}
	}
	if in.fills() {
		x := h.filling[in.Namespace]
		if x == nil {
			x = &hold{}
			h.filling[in.Namespace] = x
		}
		x.count++
	}
	h.mu.Unlock()
	start()
	if reserved && !in.holds() {
		h.letGo(in.held())
	}
}

// plan has an action choose what to do, and reserves for it the objects that it means to create: until their creates are
// submitted or released, what another step has to do with these objects waits.
func (h *holds) plan(owner *Env, choose func() ([]Intent, error)) ([]Intent, error) {
	h.planning.Lock()
	defer h.planning.Unlock()
	intents, err := choose()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range intents {
		in := &intents[i]
		if in.creates() && h.objects[in.held()] == nil {
			h.objects[in.held()] = &hold{owner: owner}
		}
	}
	return intents, nil
}

// release gives up the reservations of creates that are not submitted after all.
func (h *holds) release(intents []Intent) {
	for i := range intents {
		in := &intents[i]
		h.mu.Lock()
		x := h.objects[in.held()]
		reserved := in.creates() && x != nil && x.owner != nil
		h.mu.Unlock()
		if reserved {
			h.letGo(in.held())
		}
	}
}

// releaseAll gives up every reservation of a step that has ended.
func (h *holds) releaseAll(owner *Env) {
	h.mu.Lock()
	var left []heldObject
	for k, x := range h.objects {
		if x.owner == owner {
			left = append(left, k)
		}
	}
	h.mu.Unlock()
	for _, k := range left {
		h.letGo(k)
	}
}

// ahead is what the intent has to wait for.
func (h *holds) ahead(in *Intent) (out []*hold) {
	if x := h.objects[in.held()]; x != nil && !(x.owner != nil && in.creates()) {
		out = append(out, x)
	}
	if in.Kind != "Namespace" || in.Verb != VerbDelete {
		return out
	}
	for k, x := range h.objects {
		if k.namespace == in.Name {
			out = append(out, x)
		}
	}
	if x := h.filling[in.Name]; x != nil {
		out = append(out, x)
	}
	return out
}

// leave lets go what waits for the intent's pod.
func (h *holds) leave(in *Intent) {
	if in.holds() {
		h.letGo(in.held())
	}
}

func (h *holds) letGo(k heldObject) {
	h.mu.Lock()
	x := h.objects[k]
	delete(h.objects, k)
	h.mu.Unlock()
	x.goOn()
}

// ended notes that nothing is under way any more because of the intent.
func (h *holds) ended(in *Intent) {
	if !in.fills() {
		return
	}
	h.mu.Lock()
	x := h.filling[in.Namespace]
	if x.count--; x.count > 0 {
		x = nil
	} else {
		delete(h.filling, in.Namespace)
	}
	h.mu.Unlock()
	x.goOn()
}

// goOn has what waited for x, which may be nil, take its turn.
func (x *hold) goOn() {
	if x == nil {
		return
	}
	for _, f := range x.after {
		f()
	}
}

func (in *Intent) held() heldObject { return heldObject{in.Kind, in.Namespace, in.Name} }

func (in *Intent) creates() bool { return in.Verb == VerbCreate && in.Name != "" }

// fills reports whether the intent makes something in a namespace.
func (in *Intent) fills() bool { return in.creates() && in.Namespace != "" }

// holds reports whether the intent's pod is away before it is written, or known only when it is.
func (in *Intent) holds() bool {
	return in.Verb == VerbCreate && (in.Injection == InjectDirect || in.Injection == InjectWebhook)
}
