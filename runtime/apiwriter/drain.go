package apiwriter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
)

const (
	// drainConcurrency is how many kinds of one namespace are emptied at once.
	drainConcurrency = 8
	// kindsKnownFor is how long the kinds that the api-server serves are believed. A kind that came since then is
	// met by the next attempt to drain, since a namespace is drained until nothing is left.
	kindsKnownFor = 10 * time.Second
)

// ErrNotEmpty is returned for a namespace in which something is left, waiting for a finalizer.
var ErrNotEmpty = errors.New("objects are left")

// Drainer deletes all that is in a namespace, of every kind, as the namespace controller does before it finalizes one.
// It is safe for concurrent use.
type Drainer struct {
	// Graceful leaves pods their grace period, as that controller does: their kubelets end them. One whose time is up is
	// deleted for good. It must be set before the first use.
	Graceful bool

	clock runtime.Clock
	disco discovery.DiscoveryInterface
	meta  metadata.Interface

	mu    sync.Mutex
	kinds []kind
	read  time.Time
}

// kind is a resource that can be listed and deleted.
type kind struct {
	gvr        schema.GroupVersionResource
	namespaced bool
	collection bool // deletecollection is offered
}

// NewDrainer returns a drainer for the cluster of cfg.
func NewDrainer(cfg *rest.Config, clock runtime.Clock) (*Drainer, error) {
	c := baseConfig(cfg, "")
	meta, err := metadata.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("drainer: %w", err)
	}
	c.Timeout = discoveryTimeout
	disco, err := discovery.NewDiscoveryClientForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("drainer: %w", err)
	}
	return &Drainer{clock: clock, disco: disco, meta: meta}, nil
}

// Drain deletes everything in the namespace and returns nil once nothing is left. It must only be called for a
// namespace that is terminating, in which nothing new can be made. An error that wraps ErrNotEmpty means that objects
// wait for a finalizer: drain again later.
func (d *Drainer) Drain(ctx context.Context, namespace string) error {
	kinds, err := d.served()
	if err != nil {
		return fmt.Errorf("drain namespace %s: %w", namespace, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(drainConcurrency)
	for _, k := range kinds {
		if k.namespaced {
			g.Go(func() error { return d.drainKind(ctx, namespace, k) })
		}
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("drain namespace %s: %w", namespace, err)
	}
	return nil
}

// drainKind looks before it deletes: most kinds have no object in most namespaces, and a list of nothing is cheap.
func (d *Drainer) drainKind(ctx context.Context, namespace string, k kind) error {
	client := d.meta.Resource(k.gvr).Namespace(namespace)
	for range 2 {
		left, err := client.List(ctx, metav1.ListOptions{})
		if gone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", k.gvr.GroupResource(), err)
		}
		if len(left.Items) == 0 {
			return nil
		}
		if err := d.drainItems(ctx, namespace, k, left.Items); err != nil {
			return fmt.Errorf("delete %s: %w", k.gvr.GroupResource(), err)
		}
	}
	left, err := client.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil && !gone(err) {
		return fmt.Errorf("list %s: %w", k.gvr.GroupResource(), err)
	}
	if err == nil && len(left.Items) > 0 {
		return fmt.Errorf("%s %s: %w", k.gvr.GroupResource(), left.Items[0].Name, ErrNotEmpty)
	}
	return nil
}

// drainItems deletes everything of one kind in a namespace, which is items.
func (d *Drainer) drainItems(ctx context.Context, namespace string, k kind, items []metav1.PartialObjectMetadata) error {
	if !d.Graceful || k.gvr.Group != "" || k.gvr.Resource != "pods" {
		return d.deleteAll(ctx, namespace, k, items, metav1.ListOptions{})
	}
	var overdue []metav1.PartialObjectMetadata
	now, fresh := d.clock.Now(), 0
	for _, item := range items {
		switch at := item.DeletionTimestamp; {
		case at == nil:
			fresh++
		case at.Time.Before(now):
			overdue = append(overdue, item)
		}
	}
	client := d.meta.Resource(k.gvr).Namespace(namespace)
	if fresh > 0 {
		if err := client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil && !gone(err) {
			return err
		}
	}
	return d.deleteEach(ctx, client, overdue)
}

// deleteAll deletes items, all of one kind and namespace: by one request for what selects them, or one by one.
func (d *Drainer) deleteAll(ctx context.Context, namespace string, k kind, items []metav1.PartialObjectMetadata, selects metav1.ListOptions) error {
	client := metadata.ResourceInterface(d.meta.Resource(k.gvr))
	if k.namespaced {
		client = d.meta.Resource(k.gvr).Namespace(namespace)
	}
	if k.collection && len(items) > 1 {
		opts := deleteOptions("")
		opts.Preconditions = nil
		err := client.DeleteCollection(ctx, *opts, selects)
		if err == nil || gone(err) {
			return nil
		}
		if !apierrors.IsMethodNotSupported(err) {
			return err
		}
	}
	return d.deleteEach(ctx, client, items)
}

func (d *Drainer) deleteEach(ctx context.Context, client metadata.ResourceInterface, items []metav1.PartialObjectMetadata) error {
	var errs []error
	for i := range items {
		err := client.Delete(ctx, items[i].Name, *deleteOptions(items[i].UID))
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// gone reports that the kind is not served any more, or cannot be listed.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) }

// served reads the kinds that can be listed and deleted, each in its preferred version.
func (d *Drainer) served() ([]kind, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	if d.kinds != nil && now.Sub(d.read) < kindsKnownFor {
		return d.kinds, nil
	}
	lists, err := discovery.ServerPreferredResources(d.disco)
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("read the api-server's kinds: %w", err)
	}
	var kinds []kind
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("read the api-server's kinds: %w", err)
		}
		for _, r := range list.APIResources {
			verbs := map[string]bool{}
			for _, v := range r.Verbs {
				verbs[v] = true
			}
			if verbs["list"] && verbs["delete"] {
				kinds = append(kinds, kind{gv.WithResource(r.Name), r.Namespaced, verbs["deletecollection"]})
			}
		}
	}
	d.kinds, d.read = kinds, now
	return kinds, nil
}
