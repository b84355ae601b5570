package cluster

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/plscript/plscript/runtime"
)

// watch starts the informers and returns what tells that each handler has seen everything that existed.
func (c *Cluster) watch(ctx context.Context, wg *sync.WaitGroup) ([]cache.DoneChecker, error) {
	f := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithTransform(stripper()))
	type source struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}
	watched := []source{
		{f.Core().V1().Namespaces().Informer(), handler(ctx, c.namespaceSeen, c.namespaceGone)},
		{f.Core().V1().Services().Informer(), handler(ctx, c.serviceSeen, c.serviceGone)},
		{f.Discovery().V1().EndpointSlices().Informer(), handler(ctx, c.sliceSeen, c.sliceGone)},
	}
	if c.phantoms == nil {
		pods := f.Core().V1().Pods().Informer()
		c.podStore = pods.GetStore()
		watched = append(watched,
			source{f.Core().V1().Nodes().Informer(), handler(ctx, c.nodeSeen, c.nodeGone)},
			source{pods, handler(ctx, c.podSeen, c.podGone)})
	}
	var synced []cache.DoneChecker
	for _, w := range watched {
		if err := w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			if ctx.Err() == nil {
				c.cfg.Log.Warn("a watch broke off and is taken up again", "err", err)
			}
		}); err != nil {
			return nil, err
		}
		reg, err := w.informer.AddEventHandler(w.handler)
		if err != nil {
			return nil, err
		}
		synced = append(synced, reg.HasSyncedChecker())
		wg.Go(func() { w.informer.RunWithContext(ctx) })
	}
	return synced, nil
}

// handler turns the events of one informer into what is there and what is gone. A name that has changed its uid
// between two events (a relist that missed the delete) is gone first.
func handler[T metav1.Object](ctx context.Context, seen, gone func(context.Context, T)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if o, ok := obj.(T); ok {
				seen(ctx, o)
			}
		},
		UpdateFunc: func(before, after any) {
			old, ok := before.(T)
			o, ok2 := after.(T)
			if !ok || !ok2 {
				return
			}
			if old.GetUID() != o.GetUID() {
				gone(ctx, old)
			}
			seen(ctx, o)
		},
		DeleteFunc: func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			if o, ok := obj.(T); ok {
				gone(ctx, o)
			}
		},
	}
}

// stripper returns what strips the watched objects; pods with the same labels share them.
func stripper() cache.TransformFunc {
	labels := newLabelSets(maxLabelSets)
	return func(obj any) (any, error) {
		if p, ok := obj.(*corev1.Pod); ok {
			p.Labels = labels.shared(p.Labels)
		}
		return strip(obj)
	}
}

// strip removes what the cluster does not look at, so that a hundred thousand pods fit. A pod that is still to be run
// keeps its metadata, because its status is written back with it.
func strip(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		stripPod(o)
	case *corev1.Node:
		o.ManagedFields, o.Annotations, o.Status.Images, o.Status.Conditions = nil, nil, nil, nil
	case *corev1.Service:
		o.ManagedFields = nil
		selector, ok := o.Annotations[runtime.AnnotationSelector]
		if o.Annotations = nil; ok {
			o.Annotations = map[string]string{runtime.AnnotationSelector: selector}
		}
	case *discoveryv1.EndpointSlice:
		o.ManagedFields = nil
	case *corev1.Namespace:
		o.ManagedFields, o.Annotations = nil, nil
	}
	return obj, nil
}

func stripPod(p *corev1.Pod) {
	p.ManagedFields = nil
	pending := isPending(p)
	p.Spec = corev1.PodSpec{
		NodeName:       p.Spec.NodeName,
		HostNetwork:    p.Spec.HostNetwork,
		Hostname:       p.Spec.Hostname,
		Subdomain:      p.Spec.Subdomain,
		InitContainers: stripContainers(p.Spec.InitContainers, pending),
		Containers:     stripContainers(p.Spec.Containers, pending),
	}
	if pending {
		return
	}
	p.Annotations, p.OwnerReferences = nil, nil
	status := corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			status.Conditions = []corev1.PodCondition{{Type: cond.Type, Status: cond.Status}}
		}
	}
	p.Status = status
}

// stripContainers keeps the named ports, and while the pod is pending what its status will say of each container.
func stripContainers(in []corev1.Container, pending bool) []corev1.Container {
	var out []corev1.Container
	for _, c := range in {
		kept := corev1.Container{RestartPolicy: c.RestartPolicy}
		for _, p := range c.Ports {
			if p.Name != "" {
				kept.Ports = append(kept.Ports, p)
			}
		}
		if pending {
			kept.Name, kept.Image = c.Name, c.Image
		}
		if pending || len(kept.Ports) > 0 {
			out = append(out, kept)
		}
	}
	return out
}

// isPending reports whether the pod has not been started by a kubelet.
func isPending(p *corev1.Pod) bool {
	return p.Status.Phase == "" || p.Status.Phase == corev1.PodPending
}
