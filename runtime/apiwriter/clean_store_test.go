package apiwriter

import (
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

// TestSweepTakesWhatNothingHolds: the run's objects in its own namespaces, Services with their addresses, and neither what has a finalizer nor
// what is another's.
func TestSweepTakesWhatNothingHolds(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	run := func(id string) map[string]string { return map[string]string{runtime.LabelRun: id} }
	pods := map[string]*corev1.Pod{}
	for name, p := range map[string]*corev1.Pod{
		"mine":    {ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Labels: run("r1")}},
		"held":    {ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Labels: run("r1"), Finalizers: []string{"example.com/f"}}},
		"theirs":  {ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Labels: run("r2")}},
		"outside": {ObjectMeta: metav1.ObjectMeta{Namespace: "injected", Labels: run("r1")}},
	} {
		p.Name = name
		pods[name] = p
		m.put(t, registry.Pod.Key(p.Namespace, name), registry.Pod.GVK, p)
	}
	m.put(t, registry.EndpointSlice.Key("ns", "s"), registry.EndpointSlice.GVK, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", Labels: run("r1")},
	})
	for ip, owner := range map[string]string{"10.96.1.1": "svc", "10.96.1.2": "other"} {
		m.put(t, registry.IPAddress.Key("", ip), registry.IPAddress.GVK, &networkingv1.IPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: ip},
			Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "ns", Name: owner}},
		})
	}
	m.put(t, registry.Service.Key("ns", "svc"), registry.Service.GVK, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc", Labels: run("r1")},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.96.1.1", ClusterIPs: []string{"10.96.1.1", "10.96.1.2", "None"}},
	})
	c := &cleaner{
		cfg: CleanConfig{RunID: "r1", Clock: &hastyClock{}, Log: slog.New(slog.DiscardHandler)},
		namespaces: fake.NewClientset(
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: run("r1")}},
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "injected"}},
		),
	}
	if err := c.sweep(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"mine": false, "held": true, "theirs": true, "outside": true} {
		if got := m.find(t, registry.Pod, pods[name].Namespace, name, &corev1.Pod{}); got != want {
			t.Errorf("pod %s is there: %v, want %v", name, got, want)
		}
	}
	if m.find(t, registry.EndpointSlice, "ns", "s", &discoveryv1.EndpointSlice{}) {
		t.Error("the EndpointSlice is there")
	}
	if m.find(t, registry.Service, "ns", "svc", &corev1.Service{}) || m.find(t, registry.IPAddress, "", "10.96.1.1", &networkingv1.IPAddress{}) {
		t.Error("the Service or its address is there")
	}
	if !m.find(t, registry.IPAddress, "", "10.96.1.2", &networkingv1.IPAddress{}) {
		t.Error("another Service's address is gone")
	}
}
