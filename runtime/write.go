package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
)

// Marks that plscript leaves on the objects it makes.
const (
	LabelRun     = "plscript.dev/run" // the id of the run that owns the object
	AnnotationIP = "plscript.dev/ip"  // on a Pod: the planned pod IP, which the fake kubelet puts into its status
	// AnnotationSelector on a Service without a selector names its pods, "app=web": its EndpointSlices are plscript's.
	AnnotationSelector = "plscript.dev/selector"
	LabelClass         = "plscript.dev/node" // on a Node: made by plscript, its pods are run by the fake kubelet
	LabelRole          = "plscript.dev/role" // on a Pod: RoleNodeAgent for what belongs to a node and not to the population
)

// The values of LabelRole.
const (
	RoleNodeAgent = "node-agent" // ztunnel pods
	RoleStartup   = "startup"    // pods that are started only to see how long that takes
)

// Object is any API object, typed or unstructured.
type Object interface {
	metav1.Object
	k8sruntime.Object
}

// Verb is what a write does to its object.
type Verb string

// The verbs. Update and Status replace what this run created and nothing else.
const (
	VerbCreate   Verb = "create"
	VerbUpdate   Verb = "update"
	VerbStatus   Verb = "status"   // the status subresource
	VerbDelete   Verb = "delete"   // leaves a Pod its grace period; of PriorityControl, its kubelet's, at once
	VerbFinalize Verb = "finalize" // the finalize subresource of a Namespace
)

// Priority orders writes that compete for the budget.
type Priority int

// The priorities, most urgent first.
const (
	PriorityControl Priority = iota // what a kubelet or controller would write: status, slices, leases
	PriorityRate                    // arrivals of a rate step: never block their caller
	PriorityBulk                    // everything else: the caller waits while the queue is full
)

// Op is one intended write.
type Op struct {
	Verb      Verb
	Object    Object // for a delete only kind, namespace and name are read
	Priority  Priority
	Setup     bool         // nobody measures its latency, as that of bulk writes: a controller's while the mesh is loaded
	Scheduled time.Time    // when the write was due; zero means at submission
	Done      func(Result) // called exactly once, from a writer goroutine, unless nil; must not block
}

// Fate is how an intended write ended. Every submitted write ends in exactly one.
type Fate string

// The fates.
const (
	FateDone Fate = "done"
	// FateSuperseded: merged into a later write of the same object that was queued behind the same one in flight, or a
	// control write whose object is gone.
	FateSuperseded Fate = "superseded"
	FateFailed     Fate = "failed"
	FateDropped    Fate = "dropped" // refused because too many arrivals were waiting
)

// Result is how a write ended.
type Result struct {
	Object   Object // as the api-server answered it; nil unless done
	Fate     Fate
	Err      error         // for failed and dropped
	Attempts int           // requests sent, 0 for superseded and dropped
	Latency  time.Duration // of the last request
}

// Writer is the one path to the api-server.
type Writer interface {
	// Submit queues op and returns. Bulk operations block while the queue is full; rate operations beyond the bound of
	// waiting arrivals return [ErrDropped] instead (and Done is called with FateDropped). After ctx is done nothing
	// more is written.
	Submit(ctx context.Context, op Op) error
}

// ErrDropped is returned for an arrival that found too many others waiting.
var ErrDropped = errors.New("dropped: too many arrivals waiting")

// CollisionError is a create that met an object of another owner. It ends a run with [ExitTarget].
type CollisionError struct {
	Kind, Namespace, Name string
	Owner                 string // the run id on the object, "" if it is not plscript's
}

func (e *CollisionError) Error() string {
	name := e.Name
	if e.Namespace != "" {
		name = e.Namespace + "/" + e.Name
	}
	if e.Owner == "" {
		return fmt.Sprintf("%s %s already exists and is not plscript's: it is left alone", e.Kind, name)
	}
	return fmt.Sprintf("%s %s already exists, left by run %s: `plscript clean --run %s` removes it", e.Kind, name, e.Owner, e.Owner)
}
