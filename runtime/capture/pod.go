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
var metadataEnv = []string{
	"ISTIO_META_DNS_AUTO_ALLOCATE", "ISTIO_META_DNS_CAPTURE", "ISTIO_META_ENABLE_HBONE", "ISTIO_META_HTTP10", "ISTIO_META_INTERCEPTION_MODE",
	"ISTIO_META_NETWORK", "ISTIO_META_REQUESTED_NETWORK_VIEW", "ISTIO_META_UNPRIVILEGED_POD", "ISTIO_META_WORKLOAD_NAME",
}

func proxyEnv(env []corev1.EnvVar) []corev1.EnvVar {
	var out []corev1.EnvVar
	for _, e := range env {
		if slices.Contains(metadataEnv, e.Name) && e.ValueFrom == nil && e.Value != "" {
			out = append(out, corev1.EnvVar{Name: e.Name, Value: e.Value})
		}
	}
	return out
}
