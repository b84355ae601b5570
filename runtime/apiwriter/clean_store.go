package apiwriter

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

const (
	sweepNamespaces = 4  // that are swept at once
	sweepDeletes    = 16 // under way in each
)

// sweep deletes the run's pods and EndpointSlices in its own namespaces straight from the store, if nothing holds them:
// nearly all that a run has made, at a tenth of what the api-server takes. The rest is not touched.
func (c *cleaner) sweep(ctx context.Context, store kv) error {
	mine, err := c.namespaces.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: runtime.LabelRun + "=" + c.cfg.RunID})
	if err != nil {
		return err
	}
	s := &sweeper{kv: store, runID: c.cfg.RunID, cluster: newSurroundings(store, c.cfg.Clock)}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sweepNamespaces)
	for _, ns := range mine.Items {
		g.Go(func() error {
			for _, k := range []registry.Kind{registry.Pod, registry.EndpointSlice} {
				if err := s.namespace(ctx, k, ns.Name); err != nil {
					return fmt.Errorf("namespace %s: %w", ns.Name, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

type sweeper struct {
	kv      kv
	runID   string
	cluster *surroundings
}

// namespace deletes the run's objects of one kind in a namespace.
func (s *sweeper) namespace(ctx context.Context, k registry.Kind, namespace string) error {
	items, err := s.kv.List(ctx, k.Key(namespace, ""))
	if err != nil {
		return err
	}
	admission := &store{kv: s.kv, runID: s.runID, cluster: s.cluster}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sweepDeletes)
	for _, item := range items {
		g.Go(func() error {
			id, err := k.IdentityOf(item.Value)
			if err != nil {
				return err
			}
			if id.Labels[runtime.LabelRun] != s.runID || id.Deleting {
				return nil
			}
			object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: id.Labels}} // only its labels are looked at
			if _, err := admission.admit(ctx, k, admissionv1.Delete, object); err != nil {
				return err
			}
			// One that has changed meanwhile is left to the api-server.
			_, _, err = s.kv.Commit(ctx, etcd.Txn{If: []etcd.Version{{Key: item.Key, Rev: item.Rev}}, Delete: []string{item.Key}})
			return err
		})
	}
	return g.Wait()
}
