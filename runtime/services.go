package runtime

import (
	"context"
	"io"
	"time"
)

// Services are what actions may use besides the writer and the proxies. One that a target does not offer is nil, and an
// action that needs it fails with a [NoServiceError].
type Services struct {
	Injector     Injector
	Certificates Certificates
	Pods         LivePods
	Gateways     Gateways
	Istiods      []Pages // the pages of each istiod, in the order of their XDS addresses; none where they cannot be reached
	Files        Files
	Dumps        Dumps
	Inputs       Inputs
	Readiness    Readiness
	Results      Results
	Demands      Demands
}

// Injector asks istiod's sidecar injection webhook what it makes of pods.
type Injector interface {
	// Inject posts an AdmissionReview for the pod and returns the pod as patched. It does not write it. A review that
	// istiod does not allow is an error.
	Inject(ctx context.Context, pod Object) (Object, error)
}

// Injection is how a pod gets its sidecar.
type Injection string

// The ways of injection.
const (
	InjectNone Injection = "none"
	// InjectDirect: the run itself posts the pod to istiod's webhook and writes what comes back.
	InjectDirect Injection = "direct"
	// InjectWebhook: the api-server asks the webhook when the pod is written.
	InjectWebhook Injection = "webhook"
)

// KeyType is the kind of private key a certificate is asked for with.
type KeyType string

// The key types, as proxies use them: RSA has 2048 bits, ECDSA is on the curve P-256.
const (
	KeyECDSA KeyType = "ecdsa"
	KeyRSA   KeyType = "rsa"
)

// Certificates asks istiod's certificate authority for workload certificates.
type Certificates interface {
	// Request sends a certificate signing request as the proxy's agent would, with a new key, and checks that the answer
	// is a certificate of the mesh for the proxy's identity. It took istiod that long: making the key does not count.
	Request(ctx context.Context, proxy Proxy, key KeyType) (took time.Duration, err error)
}

// LivePod is a pod as the api-server shows it.
type LivePod struct {
	Pod  Object // a *corev1.Pod, shared and never changed
	Gone bool   // deleted
	// Synced, without a pod, says that all pods that were there have been told; what comes is news.
	Synced bool
}

// LivePods follows the pods of a cluster, whoever made them.
type LivePods interface {
	// Follow calls handle for each pod that matches the label selector now, then once with Synced, then for each change, one
	// call at a time, until ctx is done. An empty namespace is all of them. A pod that ceases to match is reported as gone.
	Follow(ctx context.Context, namespace, selector string, handle func(LivePod)) error
}

// Gateways runs ingress gateways that carry traffic.
type Gateways interface {
	// Start starts a gateway, which is to istiod the node of that ID, and returns the address, host:port, where it takes
	// HTTP. It serves until ctx is done.
	Start(ctx context.Context, nodeID string) (address string, err error)
}

// Readiness tells when the run's pods are ready.
type Readiness interface {
	// AwaitReady returns when each of the pods ("namespace/name") has been ready or is gone again. A pod that is not there
	// yet is waited for. If ctx ends first, its cause is in the error.
	AwaitReady(ctx context.Context, keys []string) error
}

// Results shows people what a step measures, as it comes.
type Results interface {
	// Result prints one line.
	Result(line string)
}

// Pages reads one istiod's debug and monitoring pages.
type Pages interface {
	// Page returns the body of the page at a path, "/debug/syncz" or "/debug/pprof/heap?debug=0". It is an error if istiod
	// does not answer 200.
	Page(ctx context.Context, path string) ([]byte, error)
}

// Files takes what a run leaves behind besides its reports, in the run's own folder.
type Files interface {
	// Create makes a file under a relative, slash-separated name, with the folders it needs; private ones are readable by
	// their owner alone. A name that leads out of the folder, or is taken, is an error.
	Create(name string, private bool) (io.WriteCloser, error)
}

// Dumps writes what istiod sends to a proxy as files that Envoy runs.
type Dumps interface {
	// Dump shows itself to istiod as the pod's proxy, and writes into a folder of the run's own, which must be new.
	Dump(ctx context.Context, namespace, pod, folder string) error
}

// Inputs opens the files that scenarios name.
type Inputs interface {
	// Open opens a file by its name as the scenario at from (a file name) gives it: relative to the scenario's folder, or
	// absolute. "-" is standard input, which is kept, so that it can be opened again.
	Open(from, name string) (io.ReadCloser, error)
}

// NoServiceError is a step that needs what the target does not offer.
type NoServiceError struct {
	Need string // "read the debug pages of istiod"
	Hint string // what to do, "name istiod's monitoring port with --istiod-address"; "" if there is nothing
}

func (e *NoServiceError) Error() string {
	s := "this target has no way to " + e.Need
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// ExitCode says that the target is not usable.
func (*NoServiceError) ExitCode() ExitCode { return ExitTarget }
