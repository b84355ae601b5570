package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/cluster"
	"github.com/plscript/plscript/runtime/report"
)

// newCluster makes that half of a cluster which the scenario says is missing.
func (r *session) newCluster() error {
	mode := r.scenario.Cluster
	cfg := cluster.Config{
		REST: r.target.rest, RunID: r.id, Writer: r.writer, Loads: r.writer, Pods: r.pool, Clock: wallClock{}, Notify: r.signal, Log: r.log,
		Controllers: r.controllers || mode == ir.ClusterFakeNodes, Phantoms: mode == ir.ClusterReal, Kubelet: r.kubelet(),
	}
	var err error
	if !cfg.Controllers {
		drainer, err := apiwriter.NewDrainer(r.target.rest, cfg.Clock)
		if err != nil {
			return err
		}
		drainer.Graceful = cfg.Kubelet.StopP50 > 0
		cfg.Drainer = drainer
	}
	r.cluster, err = cluster.New(cfg)
	return err
}

// checkMode refuses a target where the scenario's half of a cluster would be played twice, or by nobody.
func (r *session) checkMode(ctx context.Context) error {
	if !r.hasAPI() {
		return nil
	}
	var err error
	if r.controllers, err = controllersRun(ctx, r.target); err != nil {
		return err
	}
	switch mode := r.scenario.Cluster; {
	case !r.needsHalf():
	case mode == ir.ClusterSandbox && r.controllers:
		return fmt.Errorf("%s has controllers of its own, which would make EndpointSlices beside those of the run: "+
			"set the scenario's `cluster` to %q, or to %q for a cluster with nodes of its own", r.target.about, ir.ClusterFakeNodes, ir.ClusterReal)
	case mode == ir.ClusterFakeNodes && !r.controllers && r.target.box != nil:
		return errors.New("`cluster: \"fake-nodes\"` leaves EndpointSlices to a kube-controller-manager, and this sandbox has none: " +
			"start one with `plscript sandbox up --controllers`, or name none for a private one")
	}
	return nil
}

// needsHalf reports whether the scenario makes what controllers or kubelets have to do something about.
func (r *session) needsHalf() bool {
	return slices.ContainsFunc(report.PlannedWrites(r.loaded.plan), func(w report.Planned) bool {
		return w.Group == "" && (w.Kind == "Service" || w.Kind == "Node")
	})
}

func (r *session) kubelet() cluster.Kubelet {
	set := r.scenario.Kubelet
	k := cluster.Kubelet{Seed: r.scenario.Seed, StartP50: set.StartDelay.P50.Std(), StartP99: set.StartDelay.P99.Std()}
	if f := set.Flaps; f != nil {
		k.FlapEvery, k.FlapDown = f.Every.Std(), f.Down.Std()
	}
	k.StopP50, k.StopP99 = set.Shutdown.P50.Std(), set.Shutdown.P99.Std()
	return k
}

// startPod is the kubelet of pods that are written past the api-server.
func (r *session) startPod(p *corev1.Pod, node *corev1.Node, now time.Time) {
	r.cluster.StartPod(p, node, now)
}

// controllersRun reports whether the cluster has controllers of its own, which then make ServiceAccounts and end
// namespaces. A kube-controller-manager holds a leader election lease (Kubernetes, cmd/kube-controller-manager, the default
// resource lock), unless it is the only one and elects nobody, as in k3s; it then still publishes the root certificate in
// every namespace.
func controllersRun(ctx context.Context, t *target) (bool, error) {
	if t.box != nil {
		return t.box.Controllers, nil
	}
	client, err := kubernetes.NewForConfig(t.rest)
	if err != nil {
		return false, err
	}
	lease, err := client.CoordinationV1().Leases(metav1.NamespaceSystem).Get(ctx, "kube-controller-manager", metav1.GetOptions{})
	switch {
	case err == nil:
		const stale = 5 * time.Minute // far beyond its 15 s of lease time, for clocks that differ
		return lease.Spec.RenewTime != nil && time.Since(lease.Spec.RenewTime.Time) < stale, nil
	case !apierrors.IsNotFound(err):
		return false, fmt.Errorf("look for a kube-controller-manager: %w", err)
	}
	_, err = client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) { // a run needs no other ConfigMap
		return false, fmt.Errorf("look for a kube-controller-manager: %w", err)
	}
	return err == nil, nil
}
