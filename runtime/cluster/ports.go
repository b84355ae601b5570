package cluster

import (
	"cmp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// portKey is the same for equal lists of ports.
func portKey(ports []discoveryv1.EndpointPort) string {
	var b strings.Builder
	for _, p := range ports {
		var app string
		if p.AppProtocol != nil {
			app = *p.AppProtocol
		}
		b.WriteString(strings.Join([]string{value(p.Name), string(value(p.Protocol)), strconv.Itoa(int(value(p.Port))), app}, "/"))
		b.WriteByte(';')
	}
	return b.String()
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// endpointPorts are the ports that s has on p. A port whose target p does not name is left out, as in Kubernetes.
func endpointPorts(s *service, p *pod) []discoveryv1.EndpointPort {
	var out []discoveryv1.EndpointPort
	for i := range s.ports {
		sp := &s.ports[i]
		number := targetPort(sp, p)
		if number == 0 {
			continue
		}
		name, proto := sp.Name, cmp.Or(sp.Protocol, corev1.ProtocolTCP)
		out = append(out, discoveryv1.EndpointPort{Name: &name, Protocol: &proto, Port: &number, AppProtocol: sp.AppProtocol})
	}
	return out
}

// targetPort is the number on p that sp leads to, or 0 if p has no port of that name.
func targetPort(sp *corev1.ServicePort, p *pod) int32 {
	if sp.TargetPort.Type == intstr.Int {
		return cmp.Or(sp.TargetPort.IntVal, sp.Port)
	}
	for i := range p.ports {
		cp := &p.ports[i]
		if cp.Name == sp.TargetPort.StrVal && cmp.Or(cp.Protocol, corev1.ProtocolTCP) == cmp.Or(sp.Protocol, corev1.ProtocolTCP) {
			return cp.ContainerPort
		}
	}
	return 0
}
