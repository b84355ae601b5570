package cluster

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/plscript/plscript/runtime"
)

// phantoms is a writer for a cluster whose nodes are real: the Nodes, Leases and Pods that plscript builds are not sent to
// the api-server but kept here, where the cluster sees them as if it watched them. Services lose their selector, so that
// no controller of the cluster looks for their pods. Everything else goes through.
type phantoms struct {
	c    *Cluster
	next runtime.Writer
	ops  *wakeList[phantomOp] // in the order of their submission
	pods cache.Store          // whole, and never changed, only replaced
}

type phantomOp struct {
	ctx context.Context
	runtime.Op
}

func newPhantoms(c *Cluster, next runtime.Writer) *phantoms {
	return &phantoms{c: c, next: next, ops: newWakeList[phantomOp](), pods: cache.NewStore(cache.MetaNamespaceKeyFunc)}
}

// Submit implements [runtime.Writer].
func (w *phantoms) Submit(ctx context.Context, op runtime.Op) error {
	switch obj := op.Object.(type) {
	case *corev1.Node, *coordinationv1.Lease, *corev1.Pod:
		if op.Object.GetLabels()[runtime.LabelRole] == runtime.RoleStartup {
			break // it is the real nodes' to run: what they take for it is measured
		}
		w.ops.add(phantomOp{ctx, op})
		return nil
	case *corev1.Service:
		if op.Verb != runtime.VerbDelete {
			op.Object = withoutSelector(obj)
		}
	case *corev1.Namespace:
		if op.Verb == runtime.VerbDelete { // its pods go with it
			w.ops.add(phantomOp{ctx, runtime.Op{Verb: runtime.VerbDelete, Object: obj}})
		}
	}
	return w.next.Submit(ctx, op)
}

// withoutSelector is the Service with its selector in an annotation, where only this package looks for it.
func withoutSelector(svc *corev1.Service) *corev1.Service {
	if len(svc.Spec.Selector) == 0 {
		return svc
	}
	svc = svc.DeepCopy()
	if svc.Annotations == nil {
		svc.Annotations = map[string]string{}
	}
	svc.Annotations[runtime.AnnotationSelector] = labels.FormatLabels(svc.Spec.Selector)
	svc.Spec.Selector = nil
	return svc
}

// run carries out what is submitted until ctx is done, and then refuses the rest.
func (w *phantoms) run(ctx context.Context) {
	for {
		op, ok := w.ops.next(ctx)
		if !ok {
			break
		}
		w.carryOut(ctx, op)
	}
	for {
		op, ok := w.ops.poll()
		if !ok {
			return
		}
		op.done(runtime.Result{Fate: runtime.FateFailed, Err: ctx.Err()})
	}
}

func (op phantomOp) done(r runtime.Result) {
	if op.Done != nil {
		op.Done(r)
	}
}

func (w *phantoms) carryOut(ctx context.Context, op phantomOp) {
	if err := op.ctx.Err(); err != nil {
		op.done(runtime.Result{Fate: runtime.FateFailed, Err: context.Cause(op.ctx)})
		return
	}
	res := runtime.Result{Object: op.Object, Fate: runtime.FateDone, Attempts: 1}
	switch obj := op.Object.(type) {
	case *corev1.Node:
		w.node(ctx, op.Verb, obj)
	case *corev1.Pod:
		if err := w.pod(ctx, op.Op, obj); err != nil {
			res = runtime.Result{Fate: runtime.FateFailed, Err: err}
		}
	case *corev1.Namespace:
		w.dropNamespace(ctx, obj.Name)
	}
	op.done(res)
}

func (w *phantoms) node(ctx context.Context, verb runtime.Verb, obj *corev1.Node) {
	obj = obj.DeepCopy()
	w.own(obj)
	if verb == runtime.VerbDelete {
		w.c.nodeGone(ctx, identity{name: obj.Name, uid: obj.UID})
		return
	}
	w.c.nodeSeen(ctx, obj)
}

func (w *phantoms) pod(ctx context.Context, op runtime.Op, obj *corev1.Pod) error {
	verb := op.Verb
	live, err := w.get(obj.Namespace, obj.Name)
	switch {
	case verb == runtime.VerbCreate && err == nil:
		return fmt.Errorf("pod %s/%s exists already", obj.Namespace, obj.Name)
	case verb == runtime.VerbCreate:
		live = obj.DeepCopy()
		w.own(live)
	case err != nil:
		return nil // it is gone: there is nothing to delete, and nobody to hear of its status
	case verb == runtime.VerbDelete && (op.Priority == runtime.PriorityControl || value(live.Spec.TerminationGracePeriodSeconds) == 0):
		return w.drop(ctx, live)
	case verb == runtime.VerbDelete:
		at := metav1.NewTime(w.c.cfg.Clock.Now().Add(time.Duration(*live.Spec.TerminationGracePeriodSeconds) * time.Second))
		live.DeletionTimestamp, live.DeletionGracePeriodSeconds = &at, live.Spec.TerminationGracePeriodSeconds
	default:
		live.Status = *obj.Status.DeepCopy()
	}
	if err := w.pods.Add(live); err != nil {
		return err
	}
	w.c.podSeen(ctx, live)
	return nil
}

func (w *phantoms) drop(ctx context.Context, live *corev1.Pod) error {
	if err := w.pods.Delete(live); err != nil {
		return err
	}
	w.c.podGone(ctx, identity{live.Namespace, live.Name, live.UID})
	return nil
}

func (w *phantoms) dropNamespace(ctx context.Context, name string) {
	for _, obj := range w.pods.List() {
		if p, ok := obj.(*corev1.Pod); ok && p.Namespace == name {
			_ = w.drop(ctx, p) // which can only fail for what is no Pod
		}
	}
}

// get returns a copy of a pod.
func (w *phantoms) get(namespace, name string) (*corev1.Pod, error) {
	obj, ok, err := w.pods.GetByKey(namespace + "/" + name)
	if err != nil {
		return nil, err
	}
	p, isPod := obj.(*corev1.Pod)
	if !ok || !isPod {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
	}
	return p.DeepCopy(), nil
}

// own makes obj what the api-server would answer: labelled as the run's, and with a uid.
func (w *phantoms) own(obj runtime.Object) {
	all := map[string]string{runtime.LabelRun: w.c.cfg.RunID}
	for k, v := range obj.GetLabels() {
		all[k] = v
	}
	obj.SetLabels(all)
	obj.SetUID(types.UID("phantom/" + obj.GetNamespace() + "/" + obj.GetName()))
}
