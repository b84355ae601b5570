package registry

import (
	"hash/fnv"
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CompleteService gives a Service of type ClusterIP the address ip, and returns the IPAddress that holds it: without
// one the api-server repairs the Service (pkg/registry/core/service/ipallocator, createIPAddress).
func CompleteService(s *corev1.Service, ip netip.Addr) (*networkingv1.IPAddress, error) {
	if !addressable(s) || !ip.Is4() {
		return nil, ErrUnknown
	}
	single := corev1.IPFamilyPolicySingleStack
	s.Status = corev1.ServiceStatus{}
	s.Spec.ClusterIP, s.Spec.ClusterIPs = ip.String(), []string{ip.String()}
	s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = []corev1.IPFamily{corev1.IPv4Protocol}, &single
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip.String(), Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: string(corev1.IPv4Protocol),
			networkingv1.LabelManagedBy:       "ipallocator.k8s.io",
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Resource: "services", Namespace: s.Namespace, Name: s.Name,
		}},
	}, nil
}

// addressable reports whether the Service is one that gets a single address, and ports as they are.
func addressable(s *corev1.Service) bool {
	sp := &s.Spec
	return (sp.Type == "" || sp.Type == corev1.ServiceTypeClusterIP) && sp.ClusterIP == "" && len(sp.ClusterIPs) == 0 &&
		len(sp.IPFamilies) == 0 && sp.IPFamilyPolicy == nil && len(sp.Ports) > 0 && len(sp.ExternalIPs) == 0 &&
		sp.ExternalName == "" && len(sp.Selector) > 0
}

// staticAddresses is how many addresses at the start of a large range the api-server leaves to those who ask for one
// by name (pkg/registry/core/service/ipallocator, calculateRangeOffset).
const staticAddresses = 256

// Address is the nth address to try for a Service in the range: the same in every run. It is invalid if the range is
// too small to draw from.
func Address(r netip.Prefix, namespace, name string, n int) netip.Addr {
	if !r.IsValid() || !r.Addr().Is4() || r.Bits() > 20 || r.Bits() < 8 {
		return netip.Addr{}
	}
	h := fnv.New32a()
	h.Write([]byte(namespace + "/" + name + "/" + strconv.Itoa(n)))
	size := uint32(1) << (32 - r.Bits())
	b := r.Masked().Addr().As4()
	base := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	a := base + staticAddresses + h.Sum32()%(size-staticAddresses-1) // not the broadcast address
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}
