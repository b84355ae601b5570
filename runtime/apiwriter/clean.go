package apiwriter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
)

const (
	cleanConcurrency = 8
	// cleanPasses is how often what is left is tried: a finalizer may need other objects to go first.
	cleanPasses = 5
	// controllerPasses is the same while only namespaces are left that a namespace controller empties: it looks again after
	// seconds (Kubernetes, pkg/controller/namespace).
	controllerPasses = 240
	cleanPause       = 500 * time.Millisecond
)

// CleanConfig is what [Clean] needs. REST, RunID and Clock are required.
type CleanConfig struct {
	REST  *rest.Config
	RunID string
	// Finalize empties and finalizes the run's terminating namespaces, where no namespace controller does.
	Finalize bool
	// Store is the address of the api-server's etcd, as in [Store]: nearly all is deleted there. It is
	// only for a sandbox that plscript has started; "" leaves everything to the api-server.
	Store string
	Clock runtime.Clock
	Log   *slog.Logger // nil means silence
}

// Left is what could not be removed.
type Left []Remaining

// Remaining is an object that is still there, and why.
type Remaining struct {
	Resource, Namespace, Name string // Resource is "plural.group", or the plural alone
	Reason                    string
}

// Clean removes every object of every kind that carries the run's label, whatever made it: first what is in namespaces
// and the cluster-wide objects, then namespaces, then nodes and their leases. It needs nothing but the label, and does
// nothing twice: cleaning a clean cluster succeeds. An error means that the cluster could not be looked at, or that
// ctx was done.
func Clean(ctx context.Context, cfg CleanConfig) (Left, error) {
	if cfg.REST == nil || cfg.Clock == nil || cfg.RunID == "" {
		return nil, errors.New("clean: REST, Clock and RunID are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d, err := NewDrainer(cfg.REST, cfg.Clock)
	if err != nil {
		return nil, fmt.Errorf("clean: %w", err)
	}
	client, err := kubernetes.NewForConfig(baseConfig(cfg.REST, ""))
	if err != nil {
		return nil, fmt.Errorf("clean: %w", err)
	}
	c := &cleaner{cfg: cfg, drainer: d, namespaces: client}
	if cfg.Store != "" {
		store, err := etcd.Dial(cfg.Store)
		if err != nil {
			return nil, fmt.Errorf("clean: %w", err)
		}
		defer store.Close()
		// What it leaves, the api-server is asked for.
		if err := c.sweep(ctx, store); err != nil {
			cfg.Log.Debug("the store could not be swept", "err", err)
		}
	}
	return c.clean(ctx)
}

type cleaner struct {
	cfg        CleanConfig
	drainer    *Drainer
	namespaces kubernetes.Interface
}

func (c *cleaner) clean(ctx context.Context) (Left, error) {
	kinds, err := c.drainer.served()
	if err != nil {
		return nil, fmt.Errorf("clean: %w", err)
	}
	var left Left
	for pass := 0; pass < cleanPasses || pass < controllerPasses && c.controllerAtWork(left); pass++ {
		if pass > 0 {
			if err := c.cfg.Clock.Sleep(ctx, cleanPause); err != nil {
				return left, fmt.Errorf("clean: %w", err)
			}
		}
		left = nil
		for _, stage := range stages(kinds) {
			remaining, err := c.remove(ctx, stage)
			if err != nil {
				return append(left, remaining...), fmt.Errorf("clean: %w", err)
			}
			left = append(left, remaining...)
		}
		if len(left) == 0 {
			return nil, nil
		}
		c.cfg.Log.Debug("not everything is removed yet", "objects", len(left), "pass", pass+1)
	}
	return left, nil
}

// stillTerminating is why a namespace is left that nothing is known to hold up.
const stillTerminating = "still terminating"

// controllerAtWork reports whether all that is left are namespaces that go by themselves.
func (c *cleaner) controllerAtWork(left Left) bool {
	return !c.cfg.Finalize && !slices.ContainsFunc(left, func(r Remaining) bool {
		return r.Resource != "namespaces" || r.Reason != stillTerminating
	})
}

// stages orders the kinds: what is in namespaces and all the rest, namespaces, nodes, leases. Proxies and controllers
// thus see services and pods go before the places that they are in.
func stages(kinds []kind) [][]kind {
	out := make([][]kind, 4)
	for _, k := range kinds {
		stage := 0
		switch k.gvr.Group + "/" + k.gvr.Resource {
		case "/namespaces":
			stage = 1
		case "/nodes":
			stage = 2
		case "coordination.k8s.io/leases":
			stage = 3
		}
		out[stage] = append(out[stage], k)
	}
	return out
}

// remove deletes what is labelled of kinds and returns what is still there.
func (c *cleaner) remove(ctx context.Context, kinds []kind) (Left, error) {
	results := make([]Left, len(kinds))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cleanConcurrency)
	for i, k := range kinds {
		g.Go(func() (err error) {
			results[i], err = c.removeKind(ctx, k)
			if gone(err) || apierrors.IsForbidden(err) {
				return nil // what may not be listed was not made by this run either
			}
			return err
		})
	}
	err := g.Wait()
	var left Left
	for _, r := range results {
		left = append(left, r...)
	}
	return left, err
}

func (c *cleaner) removeKind(ctx context.Context, k kind) (Left, error) {
	opts := metav1.ListOptions{LabelSelector: runtime.LabelRun + "=" + c.cfg.RunID}
	list, err := c.drainer.meta.Resource(k.gvr).List(ctx, opts)
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	// Why an object could not be deleted: by its namespace, or by its name for a Namespace.
	reasons := c.deleteByNamespace(ctx, k, list.Items, opts)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if k.gvr.Resource == "namespaces" && k.gvr.Group == "" && c.cfg.Finalize {
		c.finalize(ctx, list.Items, reasons)
	}
	list, err = c.drainer.meta.Resource(k.gvr).List(ctx, opts)
	if err != nil {
		return nil, err
	}
	var left Left
	for _, item := range list.Items {
		reason := reasons[item.Namespace]
		if k.gvr.Resource == "namespaces" && reasons[item.Name] != "" {
			reason = reasons[item.Name]
		}
		if reason == "" && len(item.Finalizers) > 0 {
			reason = fmt.Sprintf("waits for its finalizers %q", item.Finalizers)
		}
		if reason == "" {
			reason = stillTerminating
		}
		left = append(left, Remaining{k.gvr.GroupResource().String(), item.Namespace, item.Name, reason})
	}
	return left, nil
}

// deleteByNamespace deletes items, of one kind, and returns what went wrong by namespace.
func (c *cleaner) deleteByNamespace(ctx context.Context, k kind, items []metav1.PartialObjectMetadata, opts metav1.ListOptions) map[string]string {
	byNamespace := map[string][]metav1.PartialObjectMetadata{}
	for _, item := range items {
		byNamespace[item.Namespace] = append(byNamespace[item.Namespace], item)
	}
	var mu sync.Mutex
	reasons := map[string]string{}
	var g errgroup.Group
	g.SetLimit(cleanConcurrency)
	for ns, items := range byNamespace {
		g.Go(func() error {
			if err := c.drainer.deleteAll(ctx, ns, k, items, opts); err != nil {
				mu.Lock()
				defer mu.Unlock()
				reasons[ns] = err.Error()
			}
			return nil
		})
	}
	_ = g.Wait() // each error is kept with its namespace
	return reasons
}
