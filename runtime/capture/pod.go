package capture

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/plscript/plscript/runtime"
)

// proxyContainer is the name of the container that runs the proxy, in sidecars, gateways, waypoints and ztunnels.
const proxyContainer = "istio-proxy"

// cleanPod keeps of a running pod what istiod and the proxy's class are made of: its identity, owner, place, address,
// readiness, containers and their ports. Above all it drops volumes, commands and environments, which may hold secrets.
func cleanPod(p *corev1.Pod) (runtime.Object, string) {
	switch {
	case p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed:
		return nil, "has ended"
	case len(p.Spec.Containers) == 0:
		return nil, "has no containers"
	}
	ip, why := podIP(p)
	if why != "" {
		return nil, why
	}
	out := &corev1.Pod{TypeMeta: p.TypeMeta, ObjectMeta: p.ObjectMeta}
	for i := range out.OwnerReferences {
		out.OwnerReferences[i].BlockOwnerDeletion = nil
	}
	out.Spec = corev1.PodSpec{
		NodeName: p.Spec.NodeName, ServiceAccountName: p.Spec.ServiceAccountName, HostNetwork: p.Spec.HostNetwork,
		Hostname: p.Spec.Hostname, Subdomain: p.Spec.Subdomain,
		InitContainers: cleanContainers(p.Spec.InitContainers), Containers: cleanContainers(p.Spec.Containers),
	}
	out.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}}
	if _, err := netip.ParseAddr(p.Status.HostIP); err == nil {
		out.Status.HostIP = p.Status.HostIP
	}
	if why := podFault(out); why != "" {
		return nil, why
	}
	out.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: readiness(p)}}
	return out, ""
}

// podFault says what an api-server would refuse about a pod. It is asked here, as pods may be written past it.
func podFault(p *corev1.Pod) string {
	for _, field := range []struct {
		what, value string
		faults      func(string) []string
	}{
		{"nodeName", p.Spec.NodeName, validation.IsDNS1123Subdomain}, {"serviceAccountName", p.Spec.ServiceAccountName, validation.IsDNS1123Subdomain},
		{"hostname", p.Spec.Hostname, validation.IsDNS1123Label}, {"subdomain", p.Spec.Subdomain, validation.IsDNS1123Label},
	} {
		if field.value != "" && len(field.faults(field.value)) > 0 {
			return "has a " + field.what + " that is none"
		}
	}
	names := map[string]bool{}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		switch {
		case names[c.Name] || len(validation.IsDNS1123Label(c.Name)) > 0:
			return "has containers without a name of their own"
		case c.Image == "" || strings.TrimSpace(c.Image) != c.Image:
			return "has a container without an image"
		case slices.ContainsFunc(c.Ports, badPort):
			return "has a container with a port that is none"
		}
		names[c.Name] = true
	}
	return ""
}

func badPort(p corev1.ContainerPort) bool {
	protocols := []corev1.Protocol{"", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	return len(validation.IsValidPortNum(int(p.ContainerPort))) > 0 || p.Name != "" && len(validation.IsValidPortName(p.Name)) > 0 ||
		!slices.Contains(protocols, p.Protocol)
}

// podIP is the pod's IPv4 address, or why it can have none here.
func podIP(p *corev1.Pod) (ip, why string) {
	all := []string{p.Status.PodIP}
	for _, ip := range p.Status.PodIPs {
		all = append(all, ip.IP)
	}
	for _, ip := range all {
		a, err := netip.ParseAddr(ip)
		switch {
		case ip == "":
			continue
		case err != nil:
			return "", "has an address that is none"
		case a.Is4():
			return a.String(), ""
		}
		why = "has no IPv4 address"
	}
	if why == "" {
		why = "has no address yet"
	}
	return "", why
}

// readiness is the pod's Ready condition; a pod without conditions is taken for a ready one, as somebody wrote it down.
func readiness(p *corev1.Pod) corev1.ConditionStatus {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue {
			return corev1.ConditionFalse
		}
	}
	return corev1.ConditionTrue
}

func cleanContainers(in []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range in {
		kept := corev1.Container{Name: c.Name, Image: c.Image, ImagePullPolicy: corev1.PullNever, RestartPolicy: c.RestartPolicy}
		for _, p := range c.Ports {
			kept.Ports = append(kept.Ports, corev1.ContainerPort{Name: p.Name, ContainerPort: p.ContainerPort, Protocol: p.Protocol})
		}
		if c.Name == proxyContainer {
			kept.Args = proxyArgs(c.Args)
			kept.Env = proxyEnv(c.Env)
		}
		out = append(out, kept)
	}
	return out
}

// proxyArgs keeps what says which kind of proxy it is: "proxy router", "ztunnel".
func proxyArgs(args []string) []string {
	var out []string
	for _, a := range args {
		if slices.Contains([]string{"proxy", "sidecar", "router", "waypoint", "ztunnel"}, a) {
			out = append(out, a)
		}
	}
	return out
}

// metadataEnv are the variables of a proxy that become its node metadata (Istio pkg/bootstrap/config.go, the prefix
// ISTIO_META_) and change what istiod sends it. Others name the mesh that it was in.
var metadataEnv = map[string]string{
	"ISTIO_META_DNS_CAPTURE":            "DNS_CAPTURE",
	"ISTIO_META_DNS_AUTO_ALLOCATE":      "DNS_AUTO_ALLOCATE",
	"ISTIO_META_ENABLE_HBONE":           "ENABLE_HBONE",
	"ISTIO_META_HTTP10":                 "HTTP10",
	"ISTIO_META_INTERCEPTION_MODE":      "INTERCEPTION_MODE",
	"ISTIO_META_NETWORK":                "NETWORK",
	"ISTIO_META_REQUESTED_NETWORK_VIEW": "REQUESTED_NETWORK_VIEW",
	"ISTIO_META_UNPRIVILEGED_POD":       "UNPRIVILEGED_POD",
}

func proxyEnv(env []corev1.EnvVar) []corev1.EnvVar {
	var out []corev1.EnvVar
	for _, e := range env {
		if metadataEnv[e.Name] != "" && e.ValueFrom == nil && e.Value != "" {
			out = append(out, corev1.EnvVar{Name: e.Name, Value: e.Value})
		}
	}
	return out
}

// ClassOf returns the class of the proxy in a pod, and false if there is none. Istio's charts and its injector mark their
// proxies with labels, annotations and the arguments of the container istio-proxy (Istio manifests/charts/*, the
// injection templates).
func ClassOf(p *corev1.Pod) (runtime.ProxyClass, bool) {
	i := slices.IndexFunc(slices.Concat(p.Spec.InitContainers, p.Spec.Containers), func(c corev1.Container) bool { return c.Name == proxyContainer })
	if i < 0 {
		return "", false
	}
	proxy := slices.Concat(p.Spec.InitContainers, p.Spec.Containers)[i]
	for _, a := range proxy.Args {
		switch a {
		case "ztunnel":
			return runtime.ClassZtunnel, true
		case "waypoint":
			return runtime.ClassWaypoint, true
		case "router":
			return runtime.ClassGateway, true
		case "sidecar":
			return runtime.ClassSidecar, true
		}
	}
	return classOfLabels(p, len(p.Spec.Containers) == 1 && p.Spec.Containers[0].Name == proxyContainer), true
}

// classOfLabels is the class where the container does not say it. A pod of a proxy alone is no sidecar.
func classOfLabels(p *corev1.Pod, alone bool) runtime.ProxyClass {
	managed := p.Labels["gateway.istio.io/managed"]
	class := p.Labels["gateway.networking.k8s.io/gateway-class-name"]
	templates := strings.Split(p.Annotations["inject.istio.io/templates"], ",")
	switch {
	case p.Labels["app"] == "ztunnel" || p.Labels["app.kubernetes.io/name"] == "ztunnel":
		return runtime.ClassZtunnel
	case managed == "istio.io-mesh-controller" || strings.HasSuffix(class, "-waypoint") || slices.Contains(templates, "waypoint"):
		return runtime.ClassWaypoint
	case managed != "" || class != "" || slices.Contains(templates, "gateway") || slices.Contains(templates, "kube-gateway") || alone:
		return runtime.ClassGateway
	}
	return runtime.ClassSidecar
}

// workload is the name of what the pod is one of: its Deployment, or what it says of itself (Istio
// pkg/kube/controllers, GetDeployMetaFromPod).
func workload(p *corev1.Pod) string {
	for _, o := range p.OwnerReferences {
		if o.Controller == nil || !*o.Controller {
			continue
		}
		if hash := p.Labels["pod-template-hash"]; o.Kind == "ReplicaSet" && hash != "" {
			return strings.TrimSuffix(o.Name, "-"+hash)
		}
		return o.Name
	}
	for _, key := range []string{"service.istio.io/workload-name", "service.istio.io/canonical-name", "app.kubernetes.io/name", "app"} {
		if v := p.Labels[key]; v != "" {
			return v
		}
	}
	return p.Name
}

// proxyOf is the XDS client in a pod, without its locality.
func proxyOf(p *corev1.Pod, class runtime.ProxyClass) runtime.Proxy {
	out := runtime.Proxy{
		Class: class, Namespace: p.Namespace, Name: p.Name, IP: p.Status.PodIP, Node: p.Spec.NodeName,
		ServiceAccount: p.Spec.ServiceAccountName, App: workload(p), Labels: p.Labels,
	}
	if out.ServiceAccount == "" {
		out.ServiceAccount = "default"
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, e := range c.Env {
			if key := metadataEnv[e.Name]; c.Name == proxyContainer && key != "" {
				if out.Metadata == nil {
					out.Metadata = map[string]string{}
				}
				out.Metadata[key] = e.Value
			}
		}
	}
	return out
}
