package sandbox

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestTwoIstiodsAndControllers makes one sandbox with both, which costs as much as one with either.
func TestTwoIstiodsAndControllers(t *testing.T) {
	integration(t)
	t.Parallel()
	s, err := Start(t.Context(), Config{StateDir: newStateDir(t), Istiods: 2, Controllers: true, Progress: func(e Event) { t.Log(e) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := clientOf(t, s).client
	t.Run("controllers", func(t *testing.T) { checkControllers(t, client) })
	t.Run("istiods", func(t *testing.T) { checkIstiods(t, s) })
	if pids := s.PIDs(); pids.Controllers == 0 || !s.Controllers {
		t.Errorf("%+v: no controllers", pids)
	}
	checkListeners(t, s)
}

// checkControllers has the controllers do what nobody does in a sandbox without them.
func checkControllers(t *testing.T, client kubernetes.Interface) {
	const name = "controlled"
	ctx := t.Context()
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	if _, err := client.CoreV1().Services(name).Create(ctx, svc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the default ServiceAccount", func() bool {
		_, err := client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
	eventually(t, "an EndpointSlice", func() bool {
		list, err := client.DiscoveryV1().EndpointSlices(name).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
		return err == nil && len(list.Items) == 1
	})
	if err := client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the namespace", func() bool {
		_, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func checkIstiods(t *testing.T, s *Sandbox) {
	ctx := t.Context()
	before := s.IstiodPIDs()
	if len(before) != 2 || before[0] == 0 || before[1] == 0 || len(s.XDSAddresses()) != 2 {
		t.Fatalf("istiods %v at %v", before, s.XDSAddresses())
	}
	for _, address := range s.MonitoringAddresses() {
		if !strings.Contains(page(t, "http://"+address+"/metrics"), "istio_build{") {
			t.Errorf("no istio_build among the metrics of %s", address)
		}
	}
	if err := s.KillIstiod(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if got := s.IstiodPIDs(); got[0] != before[0] || got[1] != 0 {
		t.Errorf("after the second was killed: %v, before: %v", got, before)
	}
	if done, err := s.check(); done {
		t.Errorf("a kill was reported: %v", err)
	}
	if err := s.RestartIstiod(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if got := s.IstiodPIDs(); got[0] != before[0] || got[1] == 0 || got[1] == before[1] {
		t.Errorf("after the second was started again: %v, before: %v", got, before)
	}
	if err := s.KillIstiod(ctx, 2); err == nil {
		t.Error("no error for an istiod that is not there")
	}
}

// eventually polls: what is waited for is another program's work.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
