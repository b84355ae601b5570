package runtime

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// proxyContainer is the container that Istio's injection templates run the proxy in, of whatever class (istio.io/istio
// manifests/charts/istio-control/istio-discovery/files).
const proxyContainer = "istio-proxy"

// PodProxy returns the proxy that runs in a live pod, as it would show itself to istiod; false if there is none. Whether it
// waits for its pod, and where it is, is for the caller to say.
func PodProxy(pod *corev1.Pod) (Proxy, bool) {
	class, ok := podClass(pod)
	if !ok {
		return Proxy{}, false
	}
	p := Proxy{
		Class: class, Namespace: pod.Namespace, Name: pod.Name, IP: pod.Status.PodIP, Node: pod.Spec.NodeName,
		ServiceAccount: cmp.Or(pod.Spec.ServiceAccountName, "default"), Labels: pod.Labels,
		App: cmp.Or(pod.Labels["service.istio.io/canonical-name"], pod.Labels["app.kubernetes.io/name"], pod.Labels["app"], pod.Name),
		// What the scheduler's node labels say is on the pod since Kubernetes 1.35 (PodTopologyLabels).
		Zone: pod.Labels[corev1.LabelTopologyZone], Region: pod.Labels[corev1.LabelTopologyRegion],
		Metadata: podMetadata(pod),
	}
	if name := p.Metadata["WORKLOAD_NAME"]; name != "" {
		p.App = name
	}
	return p, true
}

// podClass is what the pod's proxy is told to be, or else what the pod's labels say it is.
func podClass(pod *corev1.Pod) (ProxyClass, bool) {
	c, alone := findProxy(pod)
	if c != nil {
		// pilot-agent's arguments: "proxy", then the node's type.
		if i := slices.Index(c.Args, "proxy"); i >= 0 && i+1 < len(c.Args) {
			switch c.Args[i+1] {
			case "router":
				return ClassGateway, true
			case "waypoint":
				return ClassWaypoint, true
			case "ztunnel":
				return ClassZtunnel, true
			case "sidecar":
				return ClassSidecar, true
			}
		}
	}
	l := pod.Labels
	switch {
	case l["gateway.istio.io/managed"] == "istio.io-mesh-controller":
		return ClassWaypoint, true
	case l["gateway.istio.io/managed"] == "istio.io-gateway-controller", pod.Annotations["inject.istio.io/templates"] == "gateway":
		return ClassGateway, true
	case c == nil:
		return "", false
	case l["app.kubernetes.io/name"] == "ztunnel", l["app"] == "ztunnel":
		return ClassZtunnel, true
	case alone:
		return ClassGateway, true // nothing but a proxy in it
	}
	return ClassSidecar, true
}

// findProxy returns the proxy's container, which is an init container in a pod with a native sidecar, and whether it is
// the only one that lasts.
func findProxy(pod *corev1.Pod) (c *corev1.Container, alone bool) {
	named := func(c corev1.Container) bool { return c.Name == proxyContainer }
	if i := slices.IndexFunc(pod.Spec.Containers, named); i >= 0 {
		return &pod.Spec.Containers[i], len(pod.Spec.Containers) == 1
	}
	if i := slices.IndexFunc(pod.Spec.InitContainers, named); i >= 0 {
		return &pod.Spec.InitContainers[i], false
	}
	return nil, false
}

// podMetadata is the node metadata that the agent reads from its environment (Istio pkg/bootstrap/config.go,
// extractMetadata), as far as the pod states the values.
func podMetadata(pod *corev1.Pod) map[string]string {
	c, _ := findProxy(pod)
	if c == nil {
		return nil
	}
	var out map[string]string
	for _, e := range c.Env {
		key, ok := strings.CutPrefix(e.Name, "ISTIO_META_")
		if !ok || key == "" || e.Value == "" || strings.Contains(e.Value, "$(") {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = e.Value
	}
	return out
}
