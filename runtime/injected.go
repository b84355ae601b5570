package runtime

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// statusAnnotation is where the webhook notes what it has added (Istio, pkg/kube/inject, applyMetadata).
const statusAnnotation = "sidecar.istio.io/status"

// Injected reports whether istiod's webhook has given the pod its proxy.
func Injected(pod *corev1.Pod) bool {
	c, _ := findProxy(pod)
	_, marked := pod.Annotations[statusAnnotation]
	return c != nil && marked
}

// describedBy returns p as the agent in the injected pod would introduce it: with the metadata of the proxy container's
// environment, and the pod's labels and annotations. What the scenario says has the last word.
func (p Proxy) describedBy(pod *corev1.Pod) Proxy {
	meta := podMetadata(pod)
	if meta == nil {
		meta = map[string]string{}
	}
	maps.Copy(meta, p.Metadata)
	p.Metadata = meta
	p.Annotations = pod.Annotations
	if !maps.Equal(p.Labels, pod.Labels) {
		p.Labels = pod.Labels
	}
	return p
}
