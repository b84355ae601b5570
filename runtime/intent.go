package runtime

import (
	"iter"
	"time"
)

// Intent is one write that an action means to make, with what follows from it; or, without a Verb, what follows alone.
// Plan counts intents and Run carries them out, so that the two cannot differ.
type Intent struct {
	Verb      Verb   // "" where nothing is written
	Group     string // API group: "networking.istio.io", "" for the core
	Kind      string // "Pod"
	Namespace string
	Name      string
	// Build makes the object. It is called only when the write is made: a plan of a million pods builds none.
	Build func() Object

	// Unplaced is a pod that a scheduler finds a node for: no part of the planned mesh, and so written to a cluster with
	// nodes of its own too.
	Unplaced bool
	// OwnSlices says that the EndpointSlices of the Service are plscript's wherever it runs: it has no selector.
	OwnSlices bool
	// Barrier holds back what follows until every write before and including this one has ended.
	Barrier bool
	// Want is the proxy that comes with the object, of class Class; nil if there is none. It is built only in a run.
	Want  func() Proxy
	Class ProxyClass
	// CSR says that the proxy asks for a certificate before it opens its stream.
	CSR bool
	// Injection is how the object, a Pod, gets its sidecar; "" means not at all. Without a Verb, the pod is only shown to
	// istiod. The proxy that comes with an injected pod is the one that the pod then describes.
	Injection Injection
	// Certificate is a certificate to ask for that nobody uses; nil if there is none.
	Certificate *CertificateRequest
	// Pods is how many pods go with the object, a Namespace.
	Pods int64
	// Forget are the proxies that go with the object.
	Forget []ProxyKey
	// Disconnect are proxies whose streams are broken.
	Disconnect []ProxyKey
	// Demand is an address that a ztunnel asks for; nil if there is none.
	Demand *Demand
	// Change is the change whose convergence the write starts, nil if it is not measured.
	Change func() Change
	// Pause, in place of a write, waits that long.
	Pause time.Duration
}

// CertificateRequest is a certificate to ask for.
type CertificateRequest struct {
	Proxy Proxy // for whom
	Key   KeyType
}

// does is what the intent does, in a word.
func (in *Intent) does() string {
	switch {
	case in.Verb != "":
		return string(in.Verb)
	case in.Injection != "":
		return "inject"
	case in.Certificate != nil:
		return "certify"
	case len(in.Disconnect) > 0:
		return "disconnect"
	case in.Demand != nil:
		return "demand"
	}
	return "open"
}

// calls reports whether the run itself asks istiod for something because of the intent.
func (in *Intent) calls() bool { return in.Injection == InjectDirect || in.Certificate != nil }

// about names what the intent is about: "Pod mesh-0/web-0-abcde".
func (in *Intent) about() string {
	if in.Demand != nil {
		return in.Demand.Address + " for " + in.Demand.Ztunnel
	}
	if in.Namespace == "" {
		return in.Kind + " " + in.Name
	}
	return in.Kind + " " + in.Namespace + "/" + in.Name
}

// Intents are an action's writes in order. An error ends them.
type Intents = iter.Seq2[Intent, error]

// ProxyKey names a planned proxy.
type ProxyKey struct {
	Class ProxyClass
	Key   string // "namespace/name"
}
