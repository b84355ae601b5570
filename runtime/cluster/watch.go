package cluster

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/plscript/plscript/runtime/cluster/internal/skim"
)

// watch starts the watches and returns channels that are closed as all that existed has been seen.
func (c *Cluster) watch(ctx context.Context, wg *sync.WaitGroup) []<-chan struct{} {
	core, all := c.client.CoreV1(), metav1.NamespaceAll
	synced := []<-chan struct{}{
		watchKind(ctx, c, wg, core.Namespaces(), c.namespaceSeen, c.namespaceGone, nil),
		watchKind(ctx, c, wg, core.Services(all), c.serviceSeen, c.serviceGone, nil),
		watchKind(ctx, c, wg, c.client.DiscoveryV1().EndpointSlices(all), c.sliceSeen, c.sliceGone, nil),
	}
	if c.phantoms == nil {
		synced = append(synced,
			watchKind(ctx, c, wg, core.Nodes(), c.nodeSeen, c.nodeGone, nil),
			watchKind(ctx, c, wg, c.podsClient, c.podSeen, c.podGone, skim.Free))
	}
	return synced
}

// kindClient is what the clients of all kinds have in common.
type kindClient[L k8sruntime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (apiwatch.Interface, error)
}

// watchKind has seen called with every object of a kind as the api-server shows it, and gone with those that it does not
// have any more, until ctx is done: one call at a time, on the way from the watch's connection, so that nothing queues up. done,
// unless it is nil, is called with the object of an event after that.
func watchKind[T metav1.Object, L k8sruntime.Object](ctx context.Context, c *Cluster, wg *sync.WaitGroup,
	client kindClient[L], seen func(context.Context, T), gone func(context.Context, identity), done func(T),
) <-chan struct{} {
	m := newMirror(func(o T) { seen(ctx, o) }, func(id identity) { gone(ctx, id) })
	m.done = done
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (k8sruntime.Object, error) {
			return client.List(ctx, opts)
		},
		WatchFuncWithContext: client.Watch,
	}, c.client)
	var of T
	reflector := cache.NewReflectorWithOptions(source, of, m, cache.ReflectorOptions{Name: "plscript", TypeDescription: fmt.Sprintf("%T", of)})
	wg.Go(func() { c.keepWatching(ctx, reflector) })
	return m.synced
}

// keepWatching lists and watches, and takes it up again where it breaks off, until ctx is done.
func (c *Cluster) keepWatching(ctx context.Context, r *cache.Reflector) {
	failures := 0
	for ctx.Err() == nil {
		err := r.ListAndWatchWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			c.cfg.Log.Warn("a watch broke off and is taken up again", "err", err)
		default:
			failures = 0
		}
		// A sleep that is cut short ends the loop.
		_ = c.cfg.Clock.Sleep(ctx, retryAfter(failures))
	}
}

// podWatcher is a client for what is in use of Pods; those of its events and lists are to be read only.
func podWatcher(cfg *rest.Config) (kindClient[*corev1.PodList], error) {
	cfg = rest.CopyConfig(cfg)
	version := corev1.SchemeGroupVersion
	cfg.GroupVersion, cfg.APIPath = &version, "/api"
	cfg.NegotiatedSerializer = skim.Serializer(scheme.Codecs.WithoutConversion())
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, err
	}
	return corev1client.New(client).Pods(metav1.NamespaceAll), nil
}
