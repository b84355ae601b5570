package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// controllersRun reports whether the cluster has a kube-controller-manager, which then ends namespaces: its leader
// election lease (Kubernetes, cmd/kube-controller-manager, the default resource lock) has been renewed of late. Where
// none runs, nobody but plscript finalizes the namespaces it deletes.
func controllersRun(ctx context.Context, t *target) (bool, error) {
	if t.box != nil {
		return false, nil
	}
	client, err := kubernetes.NewForConfig(t.rest)
	if err != nil {
		return false, err
	}
	lease, err := client.CoordinationV1().Leases(metav1.NamespaceSystem).Get(ctx, "kube-controller-manager", metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for a kube-controller-manager: %w", err)
	}
	const stale = 5 * time.Minute // far beyond its 15 s of lease time, for clocks that differ
	return lease.Spec.RenewTime != nil && time.Since(lease.Spec.RenewTime.Time) < stale, nil
}
