package apiwriter

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// finalize empties terminating namespaces and lets them go. It looks for their contents in all namespaces at once: most
// kinds have nothing in most of them, and a list a kind and namespace is what takes the time.
func (c *cleaner) finalize(ctx context.Context, items []metav1.PartialObjectMetadata, reasons map[string]string) {
	ending := c.terminating(ctx, items, reasons)
	failed := func(err error) {
		for name := range ending {
			reasons[name] = err.Error()
		}
	}
	found, err := c.contents(ctx, ending)
	if err != nil {
		failed(err)
		return
	}
	c.empty(ctx, found)
	if found, err = c.contents(ctx, ending); err != nil {
		failed(err)
		return
	}
	for _, in := range found {
		reasons[in.namespace] = fmt.Sprintf("%s %s: %v", in.kind.gvr.GroupResource(), in.items[0].Name, ErrNotEmpty)
		delete(ending, in.namespace)
	}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(cleanConcurrency)
	for name, ns := range ending {
		g.Go(func() error {
			if err := c.release(ctx, ns); err != nil {
				mu.Lock()
				defer mu.Unlock()
				reasons[name] = err.Error()
			}
			return nil
		})
	}
	_ = g.Wait() // each error is kept with its namespace
}

// terminating are those of items that are on their way out. Only these are emptied: in any other, things may be somebody
// else's.
func (c *cleaner) terminating(ctx context.Context, items []metav1.PartialObjectMetadata, reasons map[string]string) map[string]*corev1.Namespace {
	var mu sync.Mutex
	out := map[string]*corev1.Namespace{}
	var g errgroup.Group
	g.SetLimit(cleanConcurrency)
	for i := range items {
		g.Go(func() error {
			ns, err := c.namespaces.CoreV1().Namespaces().Get(ctx, items[i].Name, metav1.GetOptions{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				reasons[items[i].Name] = err.Error()
			case ns.UID == items[i].UID && ns.DeletionTimestamp != nil:
				out[ns.Name] = ns
			}
			return nil
		})
	}
	_ = g.Wait() // each error is kept with its namespace
	return out
}

// content is what a namespace holds of one kind: at least one object.
type content struct {
	namespace string
	kind      kind
	items     []metav1.PartialObjectMetadata
}

// contents finds everything in the namespaces. Nothing new can be made in them.
func (c *cleaner) contents(ctx context.Context, in map[string]*corev1.Namespace) ([]content, error) {
	if len(in) == 0 {
		return nil, nil
	}
	kinds, err := c.drainer.served()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var out []content
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cleanConcurrency)
	for _, k := range kinds {
		if !k.namespaced {
			continue
		}
		g.Go(func() error {
			list, err := c.drainer.meta.Resource(k.gvr).List(ctx, metav1.ListOptions{})
			if gone(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s: %w", k.gvr.GroupResource(), err)
			}
			by := map[string][]metav1.PartialObjectMetadata{}
			for _, item := range list.Items {
				if in[item.Namespace] != nil {
					by[item.Namespace] = append(by[item.Namespace], item)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for ns, items := range by {
				out = append(out, content{ns, k, items})
			}
			return nil
		})
	}
	return out, g.Wait()
}

// empty deletes what was found. What cannot be deleted is found again.
func (c *cleaner) empty(ctx context.Context, found []content) {
	var g errgroup.Group
	g.SetLimit(cleanConcurrency)
	for _, in := range found {
		g.Go(func() error {
			if err := c.drainer.deleteAll(ctx, in.namespace, in.kind, in.items, metav1.ListOptions{}); err != nil {
				c.cfg.Log.Debug("a namespace is not emptied yet", "namespace", in.namespace, "err", err)
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

// release lets an empty namespace go.
func (c *cleaner) release(ctx context.Context, ns *corev1.Namespace) error {
	ns.Spec.Finalizers = withoutKubernetes(ns.Spec.Finalizers)
	_, err := c.namespaces.CoreV1().Namespaces().Finalize(ctx, ns, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or changed: the next pass looks again
	}
	return err
}

// withoutKubernetes removes the finalizer that stands for the namespace controller.
func withoutKubernetes(in []corev1.FinalizerName) (out []corev1.FinalizerName) {
	for _, f := range in {
		if f != corev1.FinalizerKubernetes {
			out = append(out, f)
		}
	}
	return out
}
