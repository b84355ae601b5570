package registry

import (
	"maps"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Complete adds to a new object what the api-server would, with the plugins that it enables by itself. A Pod is completed
// for node, which may be nil; a Service by [CompleteService]. It changes no map or slice that obj came with.
func Complete(obj Object, node *corev1.Node) error {
	switch o := obj.(type) {
	case *corev1.Namespace:
		completeNamespace(o)
	case *corev1.Node:
		completeNode(o)
	case *corev1.Pod:
		return completePod(o, node)
	case *discoveryv1.EndpointSlice:
		o.Generation = 1
	case *corev1.ServiceAccount:
		if len(o.Secrets) > 0 {
			return ErrUnknown
		}
	case *coordinationv1.Lease:
		if o.Spec.Strategy != nil || o.Spec.PreferredHolder != nil {
			return ErrUnknown
		}
	default:
		return ErrUnknown
	}
	return nil
}

// completeNamespace follows pkg/registry/core/namespace, namespaceStrategy.PrepareForCreate.
func completeNamespace(ns *corev1.Namespace) {
	ns.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		ns.Spec.Finalizers = append(slices.Clone(ns.Spec.Finalizers), corev1.FinalizerKubernetes)
	}
	// A default, but one that selectors of webhooks see before anything is read.
	ns.Labels = with(ns.Labels, map[string]string{corev1.LabelMetadataName: ns.Name})
}

// completeNode follows plugin/pkg/admission/nodetaint: a Node begins as not ready, whatever its status says.
func completeNode(n *corev1.Node) {
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	for i := range n.Spec.Taints {
		if n.Spec.Taints[i].MatchTaint(&taint) {
			return
		}
	}
	n.Spec.Taints = append(slices.Clone(n.Spec.Taints), taint)
}

// What every pod gets is shared by all of them, and never written to.
var (
	noPriority = int32(0)
	preempt    = corev1.PreemptLowerPriority
	// patience is the default of the plugin DefaultTolerationSeconds.
	patience = int64(300)
)

// completePod follows pkg/registry/core/pod, podStrategy.PrepareForCreate, and the plugins DefaultTolerationSeconds,
// Priority and PodTopologyLabels.
func completePod(p *corev1.Pod, node *corev1.Node) error {
	class, ok := qosClass(p)
	if !ok || !simple(p) {
		return ErrUnknown
	}
	p.Generation = 1
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: class}
	p.Spec.Priority, p.Spec.PreemptionPolicy = &noPriority, &preempt
	p.Spec.Tolerations = slices.Grow(slices.Clip(p.Spec.Tolerations), 2) // a slice of its own
	tolerate(p, corev1.TaintNodeNotReady)
	tolerate(p, corev1.TaintNodeUnreachable)
	if node == nil {
		return nil
	}
	labels, own := p.Labels, false
	for _, key := range [...]string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion} {
		switch v, ok := node.Labels[key]; {
		case !ok:
		case own:
			labels[key] = v
		default:
			labels, own = with(labels, map[string]string{key: v}), true
		}
	}
	p.Labels = labels
	return nil
}

// tolerate lets the pod stay for five minutes on a node with the taint, unless it says otherwise itself
// (plugin/pkg/admission/defaulttolerationseconds and its default flags).
func tolerate(p *corev1.Pod, taint string) {
	for _, t := range p.Spec.Tolerations {
		if (t.Key == taint || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
			return
		}
	}
	p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
		Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &patience,
	})
}

// with returns base and more in a new map.
func with(base, more map[string]string) map[string]string {
	out := make(map[string]string, len(base)+len(more))
	maps.Copy(out, base)
	maps.Copy(out, more)
	return out
}

// Terminate makes a Pod that is deleted one on its way out, and reports whether it has time for that: if not, it goes at
// once (k8s.io/apiserver, pkg/registry/rest, BeforeDelete; pkg/registry/core/pod, podStrategy.CheckGracefulDelete).
func Terminate(p *corev1.Pod, now time.Time) bool {
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if own := p.Spec.TerminationGracePeriodSeconds; own != nil {
		grace = *own
	}
	if grace < 0 {
		grace = 1
	}
	if grace == 0 || p.Spec.NodeName == "" || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return false
	}
	at := metav1.NewTime(now.Add(time.Duration(grace) * time.Second).Truncate(time.Second))
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	if p.Generation > 0 {
		p.Generation++
	}
	return true
}
