package sandbox

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// fieldManager owns the fields that the sandbox applies.
	fieldManager = "plscript-sandbox"
	// applyWorkers is how many objects are applied at once; more only make the api-server's queue longer.
	applyWorkers = 8
	// istioNamespace is where Istio is installed.
	istioNamespace = "istio-system"
)

var (
	crdResource            = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	mutatingWebhookConfigs = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
)

// cluster is the api-server, seen by the sandbox that fills it.
type cluster struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

func newCluster(config *rest.Config) (*cluster, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver client: %w", err)
	}
	return &cluster{client: client, dynamic: dyn}, nil
}

// prepare makes the namespaces that the sandbox needs, each with the ServiceAccount that a controller-manager would put there. The api-server
// makes the first two by itself, but in its own time.
func (c *cluster) prepare(ctx context.Context) error {
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, istioNamespace} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating namespace %s: %w", name, err)
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		_, err = c.client.CoreV1().ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating ServiceAccount %s/default: %w", name, err)
		}
	}
	return nil
}

// apply applies the objects server-side, many at once, and returns when those that are CRDs are served.
func (c *cluster) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	groups, err := restmapper.GetAPIGroupResources(c.client.Discovery())
	if err != nil {
		return fmt.Errorf("discovering the API: %w", err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	crds := map[string]bool{}
	workers, working := errgroup.WithContext(ctx)
	workers.SetLimit(applyWorkers)
	for _, object := range objects {
		if object.GetKind() == "CustomResourceDefinition" {
			crds[object.GetName()] = true
		}
		workers.Go(func() error { return c.applyOne(working, mapper, object) })
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	return c.awaitEstablished(ctx, crds)
}

func (c *cluster) applyOne(ctx context.Context, mapper meta.RESTMapper, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", kind.Kind, object.GetName(), err)
	}
	var resource dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	if _, err := resource.Apply(ctx, object.GetName(), object, options); err != nil {
		return fmt.Errorf("applying %s %s: %w", kind.Kind, object.GetName(), err)
	}
	return nil
}

// awaitEstablished returns when every one of the named CRDs is served.
func (c *cluster) awaitEstablished(ctx context.Context, names map[string]bool) error {
	return c.awaitObjects(ctx, crdResource, names, func(crd *unstructured.Unstructured) bool {
		conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
		if err != nil {
			return false
		}
		for _, condition := range conditions {
			fields, ok := condition.(map[string]any)
			if ok && fields["type"] == "Established" && fields["status"] == "True" {
				return true
			}
		}
		return false
	})
}

// awaitWebhook returns when every webhook of the named configuration trusts someone: istiod writes its authority there.
func (c *cluster) awaitWebhook(ctx context.Context, name string) error {
	return c.awaitObjects(ctx, mutatingWebhookConfigs, map[string]bool{name: true}, func(config *unstructured.Unstructured) bool {
		webhooks, _, err := unstructured.NestedSlice(config.Object, "webhooks")
		if err != nil || len(webhooks) == 0 {
			return false
		}
		for _, webhook := range webhooks {
			fields, ok := webhook.(map[string]any)
			if !ok {
				return false
			}
			if bundle, _, err := unstructured.NestedString(fields, "clientConfig", "caBundle"); err != nil || bundle == "" {
				return false
			}
		}
		return true
	})
}

// awaitObjects watches a cluster-scoped resource until done has been true of each named object.
func (c *cluster) awaitObjects(ctx context.Context, resource schema.GroupVersionResource, names map[string]bool, done func(*unstructured.Unstructured) bool) error {
	missing := make(map[string]bool, len(names))
	for name := range names {
		missing[name] = true
	}
	for len(missing) > 0 { // a watch may end at any time, and then begins anew with all that exists
		events, err := c.dynamic.Resource(resource).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("watching %s: %w", resource.Resource, err)
		}
		drain(ctx, events, missing, done)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %d %s: %w", len(missing), resource.Resource, context.Cause(ctx))
		}
	}
	return nil
}

func drain(ctx context.Context, events watch.Interface, missing map[string]bool, done func(*unstructured.Unstructured) bool) {
	defer events.Stop()
	for len(missing) > 0 {
		select {
		case <-ctx.Done():
			return
		case event, open := <-events.ResultChan():
			if !open {
				return
			}
			if object, ok := event.Object.(*unstructured.Unstructured); ok && missing[object.GetName()] && done(object) {
				delete(missing, object.GetName())
			}
		}
	}
}
