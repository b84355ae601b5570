package apiwriter

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

const (
	sweepNamespaces = 4  // that are swept at once
	sweepDeletes    = 16 // under way in each
)

// sweep deletes what the run made in its own namespaces straight from the store, of the kinds that a mesh has most of and
// if nothing holds it, at a tenth of what the api-server takes. The rest is not touched.
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
			for _, k := range []registry.Kind{registry.Service, registry.EndpointSlice, registry.Pod, registry.Account} {
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
			if id.Labels[runtime.LabelRun] != s.runID || id.Held {
				return nil
			}
			object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: id.Labels}} // only its labels are looked at
			if _, err := admission.admit(ctx, k, admissionv1.Delete, object); err != nil {
				return err
			}
			gone := []etcd.Item{item}
			if k.GVK == registry.Service.GVK {
				held, err := s.addresses(ctx, item)
				if err != nil {
					return err
				}
				gone = append(gone, held...)
			}
			var t etcd.Txn
			for _, item := range gone {
				t.If = append(t.If, etcd.Version{Key: item.Key, Rev: item.Rev})
				t.Delete = append(t.Delete, item.Key)
			}
			// What has changed meanwhile is left to the api-server.
			_, _, err = s.kv.Commit(ctx, &t)
			return err
		})
	}
	return g.Wait()
}

// addresses are the IPAddresses that a stored Service holds, which go with it.
func (s *sweeper) addresses(ctx context.Context, item etcd.Item) (held []etcd.Item, err error) {
	var svc corev1.Service
	if err := registry.Decode(item.Value, &svc); err != nil {
		return nil, err
	}
	for _, ip := range svc.Spec.ClusterIPs {
		address, there, err := s.kv.Get(ctx, registry.IPAddress.Key("", ip))
		if err != nil {
			return nil, err
		}
		if !there {
			continue // a headless Service has none
		}
		var of networkingv1.IPAddress
		if err := registry.Decode(address.Value, &of); err != nil {
			return nil, err
		}
		if p := of.Spec.ParentRef; p != nil && p.Resource == "services" && p.Namespace == svc.Namespace && p.Name == svc.Name {
			held = append(held, address)
		}
	}
	return held, nil
}
