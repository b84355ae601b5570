package capture

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// Selection says what of a cluster is captured.
type Selection struct {
	// Secrets takes in the certificates of gateways, with keys and certificates replaced by generated ones.
	Secrets bool
}

// pageSize is how many objects are listed at once.
const pageSize = 500

// Live reads a cluster. Kinds that it does not serve, or that the client may not list, are left out and listed; Secrets
// that could not be re-keyed as well. It only lists, and changes nothing.
func Live(ctx context.Context, cfg *rest.Config, sel Selection, keys *Keys) (*Capture, error) {
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	served, err := servedBy(disco)
	if err != nil {
		return nil, fmt.Errorf("ask what the cluster serves: %w", err)
	}
	l := &live{client: client, capture: &Capture{}, keys: keys}
	for i := range kinds {
		k := &kinds[i]
		gvr, ok := served.of(k)
		switch {
		case k.name == "Secret" && !sel.Secrets, k.name == "Endpoints": // whose slices are captured
			continue
		case !ok:
			continue // no such kind, no such objects
		}
		if err := l.kind(ctx, k, gvr); err != nil {
			return nil, err
		}
	}
	l.capture.sort()
	return l.capture, nil
}

type live struct {
	client  dynamic.Interface
	capture *Capture
	keys    *Keys
}

// kind captures all objects of a kind.
func (l *live) kind(ctx context.Context, k *kind, gvr schema.GroupVersionResource) error {
	p := pager.New(func(ctx context.Context, opts metav1.ListOptions) (k8sruntime.Object, error) {
		return l.client.Resource(gvr).List(ctx, opts)
	})
	p.PageSize = pageSize
	err := p.EachListItem(ctx, metav1.ListOptions{}, func(o k8sruntime.Object) error {
		u, ok := o.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("listed a %T", o)
		}
		return l.object(k, u.Object)
	})
	switch {
	case apierrors.IsForbidden(err):
		l.capture.leave(Ref{Kind: k.name}, 0, "may not be listed: %v", err)
		return nil
	case err != nil:
		return fmt.Errorf("list %s: %w", gvr.GroupResource(), err)
	}
	return nil
}

// object captures one object, unless it is of the cluster itself.
func (l *live) object(k *kind, raw map[string]any) error {
	o, why := clean(k, raw)
	if o == nil {
		if !expected(k, why) {
			l.capture.leave(refOf(raw), 0, "%s", why)
		}
		return nil
	}
	o, err := l.keys.secret(o)
	if err != nil {
		l.capture.leave(refOf(raw), 0, "%v", err)
		return nil
	}
	if o = own(k, o); o != nil {
		l.capture.add(item{k, o}, 0)
	}
	return nil
}

// servedKinds are the versions that a cluster serves, by group and resource.
type servedKinds map[schema.GroupVersionResource]bool

func servedBy(disco discovery.DiscoveryInterface) (servedKinds, error) {
	_, lists, err := disco.ServerGroupsAndResources()
	if broken := (*discovery.ErrGroupDiscoveryFailed)(nil); err != nil && !errors.As(err, &broken) && !meta.IsNoMatchError(err) {
		return nil, err
	}
	out := servedKinds{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			out[gv.WithResource(r.Name)] = true
		}
	}
	return out, nil
}

// of returns the newest version of a kind that is served.
func (s servedKinds) of(k *kind) (schema.GroupVersionResource, bool) {
	for _, v := range k.versions {
		gvr := schema.GroupVersionResource{Group: k.group, Version: v, Resource: k.resource}
		if s[gvr] {
			return gvr, true
		}
	}
	return schema.GroupVersionResource{}, false
}
