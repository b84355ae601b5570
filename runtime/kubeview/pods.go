package kubeview

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/plscript/plscript/runtime"
)

// Pods follows a cluster's pods. It implements [runtime.LivePods].
type Pods struct{ client kubernetes.Interface }

// NewPods returns one for the cluster.
func NewPods(cfg *rest.Config) (*Pods, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("view of the pods: %w", err)
	}
	return &Pods{client}, nil
}

// Follow implements [runtime.LivePods]. It returns nil when ctx is done, and an error for a selector that is none or a list
// that the api-server does not answer within 30 seconds.
func (p *Pods) Follow(ctx context.Context, namespace, selector string, handle func(runtime.LivePod)) error {
	if _, err := labels.Parse(selector); err != nil {
		return fmt.Errorf("selector %q: %w", selector, err)
	}
	informer := informers.NewSharedInformerFactoryWithOptions(p.client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector })).Core().V1().Pods().Informer()
	var one sync.Mutex // at a time
	tell := func(o any, gone bool) {
		if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = last.Obj
		}
		if pod, ok := o.(*corev1.Pod); ok {
			one.Lock()
			defer one.Unlock()
			handle(runtime.LivePod{Pod: pod, Gone: gone})
		}
	}
	told, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { tell(o, false) },
		UpdateFunc: func(_, o any) { tell(o, false) },
		DeleteFunc: func(o any) { tell(o, true) },
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { informer.Run(ctx.Done()) })
	defer running.Wait()
	defer stop()
	first, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	switch {
	case cache.WaitForCacheSync(first.Done(), told.HasSynced):
		one.Lock()
		handle(runtime.LivePod{Synced: true})
		one.Unlock()
	case ctx.Err() == nil:
		return fmt.Errorf("the api-server did not list the pods: %w", context.Cause(first))
	}
	<-ctx.Done()
	return nil
}
