// Package kubeview lets conditions read the api-server: any object, any field. Each query is a watch that stays open for
// the run, so that a condition that waits for a field is woken by its change and asks nobody.
package kubeview

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"

	"github.com/plscript/plscript/runtime"
)

// maxQueries bounds the watches of a run. Queries are written in the scenario, so that there are a few.
const maxQueries = 100

// syncTimeout is how long the first answer to a query may take.
const syncTimeout = 30 * time.Second

// View implements [runtime.Objects].
type View struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	notify runtime.Notifier

	mu      sync.Mutex
	watches map[runtime.Query]*watch
	stop    chan struct{}
	stopped bool
	running sync.WaitGroup
}

// watch is one query kept up to date.
type watch struct {
	informer cache.SharedIndexInformer
	err      error
}

// New returns a view of the cluster. notify, which may be nil, is told of every change to what has been asked for.
func New(cfg *rest.Config, notify runtime.Notifier) (*View, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("view of the cluster: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("view of the cluster: %w", err)
	}
	return &View{
		client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco)), notify: notify,
		watches: map[runtime.Query]*watch{}, stop: make(chan struct{}),
	}, nil
}

// List returns the objects that q selects, as they were last seen. The first call of a query waits for the api-server;
// a wrong kind or selector is an error at every call.
func (v *View) List(ctx context.Context, q runtime.Query) ([]map[string]any, error) {
	w, err := v.watch(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), w.informer.HasSynced) {
		return nil, fmt.Errorf("the api-server did not list %s %s: %w", q.APIVersion, q.Kind, context.Cause(ctx))
	}
	var out []map[string]any
	for _, o := range w.informer.GetStore().List() {
		out = append(out, o.(*unstructured.Unstructured).Object)
	}
	return out, nil
}

func (v *View) watch(q runtime.Query) (*watch, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.watches[q]; w != nil {
		return w, w.err
	}
	if v.stopped {
		return nil, errors.New("the run is over")
	}
	if len(v.watches) >= maxQueries {
		return nil, fmt.Errorf("more than %d different questions to the api-server in one run", maxQueries)
	}
	w := &watch{}
	w.informer, w.err = v.open(q)
	if w.err != nil {
		return w, w.err // not kept: the kind may be served later
	}
	v.watches[q] = w
	v.running.Go(func() { w.informer.Run(v.stop) })
	return w, nil
}

func (v *View) open(q runtime.Query) (cache.SharedIndexInformer, error) {
	gv, err := schema.ParseGroupVersion(q.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("%q is no API version: %w", q.APIVersion, err)
	}
	if _, err := labels.Parse(q.Labels); err != nil {
		return nil, fmt.Errorf("labels %q: %w", q.Labels, err)
	}
	selector, err := fields.ParseSelector(q.Fields)
	if err != nil {
		return nil, fmt.Errorf("fields %q: %w", q.Fields, err)
	}
	if q.Name != "" {
		selector = fields.AndSelectors(selector, fields.OneTermEqualSelector("metadata.name", q.Name))
	}
	mapping, err := v.mapper.RESTMapping(schema.GroupKind{Group: gv.Group, Kind: q.Kind}, gv.Version)
	if err != nil {
		v.mapper.Reset()
		return nil, fmt.Errorf("the cluster serves no kind %s of %s: %w", q.Kind, q.APIVersion, err)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(v.client, mapping.Resource, q.Namespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = q.Labels, selector.String()
	}).Informer()
	if v.notify == nil {
		return informer, nil
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { v.notify.Notify() },
		UpdateFunc: func(any, any) { v.notify.Notify() },
		DeleteFunc: func(any) { v.notify.Notify() },
	})
	return informer, err
}

// Close ends every watch.
func (v *View) Close() {
	v.mu.Lock()
	if !v.stopped {
		v.stopped = true
		close(v.stop)
	}
	v.mu.Unlock()
	v.running.Wait()
}
