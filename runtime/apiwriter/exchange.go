package apiwriter

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plscript/plscript/runtime"
)

// exchange is one attempt of one write with the api-server: the requests that a verb takes, and what makes it safe.
type exchange struct {
	request
	api     *api
	mapping *meta.RESTMapping
}

// control reports a write by a kubelet or controller, whose right to the object is having seen it (by uid).
func (r request) control() bool {
	return r.op.Priority == runtime.PriorityControl && r.op.Object.GetUID() != ""
}

// meant is the uid of the object that a delete is about: the one that a controller or the run has seen, or that the run
// made. It is "" if only the object itself can tell.
func (r request) meant(l *ledger, runID string) types.UID {
	uid := r.op.Object.GetUID()
	if r.control() || uid != "" && r.op.Object.GetLabels()[runtime.LabelRun] == runID {
		return uid
	}
	known, _ := l.lookup(r.target.id)
	return known.uid
}

// create makes the object. One that exists already is this run's own if it has its label: the answer to an earlier
// attempt was lost.
func (e *exchange) create(ctx context.Context) (runtime.Object, error) {
	obj, err := e.call(ctx, call{method: http.MethodPost, body: e.op.Object})
	if !apierrors.IsAlreadyExists(err) {
		return obj, err
	}
	live, err := e.get(ctx)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s: %w", e.target.id, errTerminating) // it is gone by now
	}
	if err != nil {
		return nil, err
	}
	if err := e.check(live); err != nil {
		return nil, err
	}
	if live.GetDeletionTimestamp() != nil {
		return nil, fmt.Errorf("%s: %w", e.target.id, errTerminating)
	}
	return live, nil
}

// replace puts the object, or the named subresource of it, in the place of the live one. The resourceVersion in the
// request makes sure that what is replaced is what was known: the run's own object.
func (e *exchange) replace(ctx context.Context, subresource string) (runtime.Object, error) {
	body := e.op.Object
	known, isOwn := e.api.ledger.lookup(e.target.id)
	switch {
	case e.reread, !isOwn && !e.control(), subresource != "" && body.GetResourceVersion() == "":
		live, err := e.get(ctx)
		if err != nil {
			return nil, err
		}
		if body, err = e.onto(live, subresource); err != nil {
			return nil, err
		}
	case body.GetResourceVersion() == "":
		body.SetUID(known.uid)
		body.SetResourceVersion(known.version)
	}
	return e.call(ctx, call{method: http.MethodPut, subresource: subresource, body: body})
}

// onto returns the body that writes e's object over live: the object with the version of live, or, for a subresource,
// live with the object's status. Metadata is never taken from an object that is submitted for its status, since a
// status update replaces labels and annotations too.
func (e *exchange) onto(live runtime.Object, subresource string) (runtime.Object, error) {
	if e.control() {
		if live.GetUID() != e.op.Object.GetUID() {
			return nil, apierrors.NewNotFound(e.mapping.Resource.GroupResource(), e.target.id.name)
		}
	} else if err := e.check(live); err != nil {
		return nil, err
	}
	if subresource == "" {
		e.op.Object.SetUID(live.GetUID())
		e.op.Object.SetResourceVersion(live.GetResourceVersion())
		return e.op.Object, nil
	}
	if u, ok := live.(*unstructured.Unstructured); ok {
		from, ok := e.op.Object.(*unstructured.Unstructured)
		if !ok {
			return nil, permanent{fmt.Errorf("%s: %T has no status", e.target.id, e.op.Object)}
		}
		u.Object["status"] = from.Object["status"]
		return u, nil
	}
	to, from := reflect.ValueOf(live).Elem(), reflect.ValueOf(e.op.Object).Elem()
	if to.Type() != from.Type() || !to.FieldByName("Status").IsValid() {
		return nil, permanent{fmt.Errorf("%s: %T has no status", e.target.id, e.op.Object)}
	}
	to.FieldByName("Status").Set(from.FieldByName("Status"))
	return live, nil
}

// remove deletes the object, and returns the uid that it knew. An object that is gone is a success; so is one that was
// replaced by another of the same name, which is not touched.
func (e *exchange) remove(ctx context.Context) (types.UID, error) {
	uid := e.meant(e.api.ledger, e.api.runID)
	if uid == "" {
		live, err := e.get(ctx)
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if err := e.check(live); err != nil {
			return "", err
		}
		uid = live.GetUID()
	}
	opts := deleteOptions(uid)
	if e.op.Priority != runtime.PriorityControl {
		opts.GracePeriodSeconds = nil // a Pod's own, at the end of which its kubelet deletes it for good
	}
	_, err := e.call(ctx, call{method: http.MethodDelete, body: opts})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return uid, nil
	}
	return uid, err
}

// deleteOptions ask for the object of that uid to go now, and what it owns in the background.
func deleteOptions(uid types.UID) *metav1.DeleteOptions {
	now, background := int64(0), metav1.DeletePropagationBackground
	return &metav1.DeleteOptions{
		TypeMeta:           metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		GracePeriodSeconds: &now,
		PropagationPolicy:  &background,
		Preconditions:      &metav1.Preconditions{UID: &uid},
	}
}

// finalize lets a terminating Namespace go, as the namespace controller does once it is empty.
func (e *exchange) finalize(ctx context.Context) (runtime.Object, error) {
	live, err := e.get(ctx)
	if apierrors.IsNotFound(err) {
		return e.op.Object, nil
	}
	if err != nil {
		return nil, err
	}
	ns, ok := live.(*corev1.Namespace)
	if !ok {
		return nil, permanent{fmt.Errorf("%s cannot be finalized", e.target.id)}
	}
	if e.control() && ns.UID != e.op.Object.GetUID() {
		return e.op.Object, nil
	}
	if err := e.check(ns); err != nil {
		return nil, err
	}
	ns.Spec.Finalizers = withoutKubernetes(ns.Spec.Finalizers)
	obj, err := e.call(ctx, call{method: http.MethodPut, subresource: "finalize", body: ns})
	if apierrors.IsNotFound(err) {
		return e.op.Object, nil
	}
	return obj, err
}

// get reads the object, within the budget.
func (e *exchange) get(ctx context.Context) (runtime.Object, error) {
	if err := e.api.budget.take(ctx); err != nil {
		return nil, err
	}
	return e.call(ctx, call{method: http.MethodGet})
}

// check refuses an object of another owner.
func (e *exchange) check(live runtime.Object) error {
	owner := live.GetLabels()[runtime.LabelRun]
	if owner == e.api.runID {
		return nil
	}
	return permanent{&runtime.CollisionError{
		Kind: e.target.id.kind, Namespace: e.target.id.namespace, Name: e.target.id.name, Owner: owner,
	}}
}
