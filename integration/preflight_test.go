package integration

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestPreflight: a cluster that holds what is somebody else's is refused, with all that it holds, until it is named.
func TestPreflight(t *testing.T) {
	box := sharedSandbox(t)
	second := scenario(t, `
name: "second"
phases: [{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "second", apps: [{name: "web"}]}]}]
`)
	whileHeld(t, box, `
name: "first"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "first", apps: [{name: "web", type: "sidecar", inject: "none"}]}]},
	{name: "settle", steps: [{action: "wait", until: "xds.synced == 1"}]},
	HELD,
]
`, func(c *kubernetes.Clientset) {
		p := run(t, 3, "run", "--sandbox", box.Name, second)
		if got := p.stderr.String(); !strings.Contains(got, "proxy web-0-") || strings.Contains(got, "namespace") {
			t.Errorf("beside another run's proxy: %s", got)
		}
	})
	c := client(t, box)
	addForeign(t, c)
	for _, target := range [][]string{
		{"--sandbox", box.Name},
		{"--kubeconfig", box.Kubeconfig(), "--pilot-address", box.XDSAddress()},
		{"--kubeconfig", box.Kubeconfig(), "--pilot-address", box.XDSAddress(), "--yes-this-cluster", "another"},
	} {
		p := run(t, 3, append([]string{"run", second}, target...)...)
		got := p.stderr.String()
		if len(target) > 5 {
			if !strings.Contains(got, "another") {
				t.Errorf("%q: %s", target, got)
			}
			continue
		}
		for _, want := range []string{"namespace foreign", "node theirs", "pod foreign/app"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not name %s: %s", target, want, got)
			}
		}
		for _, system := range []string{"kube-system", "istio-system", "default"} {
			if strings.Contains(got, system) {
				t.Errorf("%q names %s, which every cluster has: %s", target, system, got)
			}
		}
	}
	if _, err := c.CoreV1().Namespaces().Get(t.Context(), "second", metav1.GetOptions{}); err == nil {
		t.Error("a refused run wrote something")
	}
	run(t, 0, "run", second, "--kubeconfig", box.Kubeconfig(), "--pilot-address", box.XDSAddress(), "--auth", "plaintext", "--yes-this-cluster", "plscript-sandbox")
	if _, err := c.CoreV1().Pods("foreign").Get(t.Context(), "app", metav1.GetOptions{}); err != nil {
		t.Errorf("what is somebody else's: %v", err)
	}
}

// addForeign makes a namespace, a node and a pod that are nobody's, until the test ends.
func addForeign(t *testing.T, c *kubernetes.Clientset) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}}}
	if _, err := c.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Pods("foreign").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		if err := c.CoreV1().Pods("foreign").Delete(ctx, "app", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Error(err)
		}
		if err := c.CoreV1().Nodes().Delete(ctx, "theirs", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		if err := c.CoreV1().Namespaces().Delete(ctx, "foreign", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		live, err := c.CoreV1().Namespaces().Get(ctx, "foreign", metav1.GetOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		live.Spec.Finalizers = nil // nobody else ends namespaces here
		if _, err := c.CoreV1().Namespaces().Finalize(ctx, live, metav1.UpdateOptions{}); err != nil {
			t.Error(err)
		}
	})
}
