package apiwriter

import (
	"errors"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/plscript/plscript/runtime"
)

const (
	maxAttempts  = 10
	retryWindow  = 30 * time.Second
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// permanent marks an error that the same request would meet again: an object that cannot be encoded or is unknown.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// errTerminating is a create whose name is still taken by an object of this run on its way out.
var errTerminating = errors.New("an object of that name is still terminating")

// verdict is what becomes of a write after a failed attempt.
type verdict struct {
	again     bool
	wait      time.Duration // before the next attempt
	reread    bool          // the next attempt reads the object first
	overtaken bool          // not a failure: the object was deleted meanwhile
}

// judge decides about a write that met err on its attempt number attempts, elapsed after the start of the first.
func judge(op runtime.Op, attempts int, elapsed time.Duration, err error, jitter func() float64) verdict {
	if op.Priority == runtime.PriorityControl && overtaken(op.Verb, err) {
		return verdict{overtaken: true}
	}
	v := verdict{wait: backoff(attempts, jitter)}
	var p permanent
	status := apierrors.APIStatus(nil)
	switch {
	case errors.As(err, &p) || meta.IsNoMatchError(err):
		return verdict{}
	case errors.Is(err, errTerminating):
		v.again = true
	case !errors.As(err, &status):
		v.again = true // no answer: refused, reset, timed out
	case apierrors.IsTooManyRequests(err):
		// The server said when, and is alive: only the window bounds it.
		s, ok := apierrors.SuggestsClientDelay(err)
		if ok {
			v.wait = max(v.wait, time.Duration(s)*time.Second)
		}
		v.again = true
		attempts = 0
	case apierrors.IsConflict(err):
		v.again = op.Verb != runtime.VerbCreate && op.Verb != runtime.VerbDelete
		v.reread = true
		if attempts == 1 {
			v.wait = 0
		}
	case namespaceMissing(op.Verb, err):
		v.again = true
	default:
		v.again = status.Status().Code >= http.StatusInternalServerError
	}
	if attempts >= maxAttempts || elapsed+v.wait > retryWindow {
		v.again = false
	}
	return v
}

// backoff doubles from firstBackoff to maxBackoff, each spread over its upper half.
func backoff(attempts int, jitter func() float64) time.Duration {
	d := maxBackoff
	if shift := attempts - 1; shift < 10 {
		d = min(maxBackoff, firstBackoff<<shift)
	}
	return d/2 + time.Duration(jitter()*float64(d/2))
}

// namespaceMissing reports a create that came before its namespace, or while the namespace's predecessor of the same
// name is on its way out (the NamespaceLifecycle admission answers with this cause).
func namespaceMissing(verb runtime.Verb, err error) bool {
	if verb != runtime.VerbCreate {
		return false
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}

// overtaken reports that the object, or its namespace, was deleted before this write came to it.
func overtaken(verb runtime.Verb, err error) bool {
	if verb == runtime.VerbCreate {
		return namespaceMissing(verb, err)
	}
	return apierrors.IsNotFound(err)
}
