package runtime

import (
	"iter"
	"time"
)

// Intent is one write that an action means to make, with what follows from it. Plan counts intents and Run carries them
// out, so that the two cannot differ.
type Intent struct {
	Verb      Verb
	Group     string // API group: "networking.istio.io", "" for the core
	Kind      string // "Pod"
	Namespace string
	Name      string
	// Build makes the object. It is called only when the write is made: a plan of a million pods builds none.
	Build func() Object

	// Barrier holds back what follows until every write before and including this one has ended.
	Barrier bool
	// Want is the proxy that comes with the object, of class Class; nil if there is none. It is built only in a run.
	Want  func() Proxy
	Class ProxyClass
	// Forget are the proxies that go with the object.
	Forget []ProxyKey
	// Change is the change whose convergence the write starts, nil if it is not measured.
	Change func() Change
	// Pause, in place of a write, waits that long.
	Pause time.Duration
}

// Intents are an action's writes in order. An error ends them.
type Intents = iter.Seq2[Intent, error]

// ProxyKey names a planned proxy.
type ProxyKey struct {
	Class ProxyClass
	Key   string // "namespace/name"
}
