package apiwriter

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

// memory is an etcd in a map.
type memory struct {
	mu    sync.Mutex
	rev   int64
	items map[string]etcd.Item
	fail  error // what every request meets
}

func (m *memory) Get(_ context.Context, key string) (etcd.Item, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	item, ok := m.items[key]
	return item, ok, m.fail
}

func (m *memory) List(_ context.Context, prefix string) (out []etcd.Item, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, item := range m.items {
		if strings.HasPrefix(key, prefix) {
			out = append(out, item)
		}
	}
	return out, m.fail
}

func (m *memory) Commit(_ context.Context, t *etcd.Txn) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, false, m.fail
	}
	for _, v := range t.If {
		if m.items[v.Key].Rev != v.Rev {
			return m.rev, false, nil
		}
	}
	m.rev++
	for _, p := range t.Put {
		m.items[p.Key] = etcd.Item{Key: p.Key, Value: bytes.Clone(p.Value), Rev: m.rev}
	}
	for _, key := range t.Delete {
		delete(m.items, key)
	}
	return m.rev, true, nil
}

// put stores an object as if the api-server had.
func (m *memory) put(t testing.TB, key string, gvk schema.GroupVersionKind, obj registry.Object) {
	t.Helper()
	raw, err := registry.Kind{GVK: gvk}.Append(nil, obj)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Commit(t.Context(), &etcd.Txn{Put: []etcd.Item{{Key: key, Value: raw}}}); err != nil {
		t.Fatal(err)
	}
}

// find reads the object of that kind, namespace and name; false if there is none.
func (m *memory) find(t *testing.T, k registry.Kind, namespace, name string, into registry.Object) bool {
	t.Helper()
	item, ok, _ := m.Get(t.Context(), k.Key(namespace, name))
	if ok {
		if err := registry.Decode(item.Value, into); err != nil {
			t.Fatal(err)
		}
	}
	return ok
}

// newMemory holds what a sandbox does: a range for Services, the namespace ns, the node n of this run, and a webhook for
// pods in namespaces labelled inject=yes.
func newMemory(t testing.TB) *memory {
	t.Helper()
	m := &memory{items: map[string]etcd.Item{}}
	m.put(t, registry.ServiceCIDR.Key("", "kubernetes"), registry.ServiceCIDR.GVK, &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/12"}},
	})
	m.namespace(t, "ns", nil)
	m.namespace(t, "injected", map[string]string{"inject": "yes"})
	m.put(t, registry.Node.Key("", "n"), registry.Node.GVK, &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: "n", Labels: map[string]string{"plscript.dev/node": "fake", "plscript.dev/run": "r1", corev1.LabelTopologyZone: "z"},
	}})
	gvk := schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"}
	m.put(t, registry.MutatingWebhooks+"hook", gvk, &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "hook"},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name:              "inject.example.com",
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"inject": "yes"}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	})
	return m
}

func (m *memory) namespace(t testing.TB, name string, labels map[string]string) {
	t.Helper()
	m.put(t, registry.Namespace.Key("", name), registry.Namespace.GVK, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	})
}
