package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// startControllers starts the kube-controller-manager with the controllers that it runs by default, and returns when it
// leads: from then on EndpointSlices, ServiceAccounts and the end of namespaces are its work.
func (s *Sandbox) startControllers(ctx context.Context, binary string) error {
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	began := time.Now()
	p, err := s.run(process.Spec{
		Name: nameController,
		Path: binary,
		Args: []string{
			"--kubeconfig=" + s.Kubeconfig(),
			"--secure-port=0", // it serves nobody
			"--root-ca-file=" + file("ca.crt"),
			"--service-account-private-key-file=" + file("sa.key"),
			// As with the api-server: it must never be the one that holds back. By default it makes 20 requests a second.
			"--kube-api-qps=2000",
			"--kube-api-burst=4000",
		},
		Env: []string{"GOGC=400"},
	})
	if err != nil {
		return err
	}
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("kube-apiserver client: %w", err)
	}
	return await(ctx, p, func(ctx context.Context) error {
		lease, err := client.CoordinationV1().Leases(metav1.NamespaceSystem).Get(ctx, nameController, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(began) {
			return errors.New("it does not lead yet")
		}
		return nil
	})
}
