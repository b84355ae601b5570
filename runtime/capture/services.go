package capture

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// service fits a Service: in a sandbox it keeps its address.
func (f *fitting) service(i item, o *corev1.Service) {
	out := o.DeepCopy()
	out.Annotations = istioOnly(out.Annotations)
	f.singleStack(i, out)
	if out.Spec.ClusterIP != "" && out.Spec.ClusterIP != corev1.ClusterIPNone && !f.own() {
		f.changed(i.ref(), "gets an address of this cluster in place of %s", out.Spec.ClusterIP)
		out.Spec.ClusterIP, out.Spec.ClusterIPs = "", nil
	}
	if f.real() {
		f.harmless(i, &out.Spec)
	}
	f.out.Population.Services++
	if f.real() {
		f.place(i.kind, out) // the writer takes its selector
		return
	}
	f.write(i, out)
}

// singleStack leaves a Service its IPv4 address alone, which is what targets have.
func (f *fitting) singleStack(i item, out *corev1.Service) {
	sp := &out.Spec
	all := append([]string{sp.ClusterIP}, sp.ClusterIPs...)
	sp.ClusterIPs, sp.IPFamilies, sp.IPFamilyPolicy = nil, nil, nil
	if sp.ClusterIP == "" || sp.ClusterIP == corev1.ClusterIPNone {
		return
	}
	sp.ClusterIP = ""
	for _, ip := range all {
		a, err := netip.ParseAddr(ip)
		if err == nil && a.Is4() && sp.ClusterIP == "" {
			sp.ClusterIP = a.String()
		}
		if err == nil && a.Is6() && !slices.Contains(sp.ClusterIPs, ip) {
			f.changed(i.ref(), "without its IPv6 address %s", ip)
		}
	}
}

// harmless takes from a Service what costs or redirects something on a real cluster.
func (f *fitting) harmless(i item, sp *corev1.ServiceSpec) {
	if len(sp.Selector) > 0 {
		f.changed(i.ref(), "without its selector, as its pods exist for istiod only")
	}
	if sp.Type == corev1.ServiceTypeLoadBalancer || sp.Type == corev1.ServiceTypeNodePort {
		f.changed(i.ref(), "of type ClusterIP in place of %s", sp.Type)
		sp.Type, sp.ExternalTrafficPolicy, sp.AllocateLoadBalancerNodePorts = corev1.ServiceTypeClusterIP, "", nil
		sp.LoadBalancerClass, sp.LoadBalancerIP, sp.LoadBalancerSourceRanges = nil, "", nil
	}
	if len(sp.ExternalIPs) > 0 {
		f.changed(i.ref(), "without its external addresses")
		sp.ExternalIPs = nil
	}
}

const (
	// sandboxServices is the range of Services in a sandbox.
	sandboxServices = "10.96.0.0/12"
	// maxRanges bounds how many further ones are made.
	maxRanges = 16
)

// ranges adds to a sandbox the ranges that the Services' addresses are of: a /16 each. An api-server takes a ServiceCIDR
// that no controller has judged for a ready one (Kubernetes pkg/registry/core/service/ipallocator, isReady).
func (f *fitting) ranges(c *Capture) {
	if !f.own() {
		return
	}
	have := []netip.Prefix{netip.MustParsePrefix(sandboxServices)}
	for _, i := range c.items {
		s, ok := i.object.(*corev1.Service)
		if !ok || f.misplaced(i) != "" {
			continue
		}
		for _, ip := range append([]string{s.Spec.ClusterIP}, s.Spec.ClusterIPs...) {
			a, err := netip.ParseAddr(ip)
			if err != nil || !a.Is4() || a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() || len(have) > maxRanges ||
				slices.ContainsFunc(have, func(p netip.Prefix) bool { return p.Contains(a) }) {
				continue
			}
			p := netip.PrefixFrom(a, 16).Masked()
			have = append(have, p)
			f.serviceRange(p)
		}
	}
}

var serviceCIDR = kind{ingressGroup, "ServiceCIDR", "servicecidrs", v1Only, false, stageNamespaces}

func (f *fitting) serviceRange(p netip.Prefix) {
	o := &networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{p.String()}}}
	o.Name = "reproduced-" + dashed(p.Addr())
	i := item{&serviceCIDR, o}
	f.changed(i.ref(), "made, so that Services keep their addresses in %s", p)
	before := len(f.writes)
	if f.write(i, o); len(f.writes) > before {
		f.writes[before].Settle = true
	}
}

func dashed(a netip.Addr) string {
	b := a.As4()
	out := ""
	for i, n := range b[:2] {
		if i > 0 {
			out += "-"
		}
		out += itoa(int(n))
	}
	return out
}

// slice fits an EndpointSlice. Where the pods are made, the slices of Services that select them follow by themselves; what
// is left are endpoints that are no pods of the file.
func (f *fitting) slice(i item, o *discoveryv1.EndpointSlice) {
	out := o.DeepCopy()
	out.Annotations, out.OwnerReferences = istioOnly(out.Annotations), nil
	service := o.Namespace + "/" + o.Labels[discoveryv1.LabelServiceName]
	made := 0
	out.Endpoints = slices.DeleteFunc(out.Endpoints, func(e discoveryv1.Endpoint) bool {
		ref := e.TargetRef
		here := ref != nil && ref.Kind == "Pod" && f.selecting[service] && f.pods[o.Namespace+"/"+ref.Name] != nil
		if here {
			made++
		}
		return here
	})
	switch {
	case made > 0 && len(out.Endpoints) == 0, len(o.Endpoints) == 0 && f.selecting[service]:
		return // the same slice comes from the pods
	case o.AddressType != "" && o.AddressType != discoveryv1.AddressTypeIPv4 && o.AddressType != discoveryv1.AddressTypeFQDN:
		f.leave(i, "has no IPv4 addresses")
		return
	}
	if made > 0 {
		f.changed(i.ref(), "without the %d endpoints that its pods make", made)
	}
	f.unbind(i, out)
	f.write(i, out)
}

// reproducedBy is the value of the label endpointslice.kubernetes.io/managed-by on slices that are written as they were
// captured: no controller's, plscript's own for pods included.
const reproducedBy = "reproduced.plscript.dev"

// unbind makes a slice nobody's but plscript's: a controller would take it for one of its own, and the pods that it
// refers to are not there.
func (f *fitting) unbind(i item, out *discoveryv1.EndpointSlice) {
	if out.Labels[discoveryv1.LabelManagedBy] != "" {
		out.Labels[discoveryv1.LabelManagedBy] = reproducedBy
	}
	dropped := 0
	for n := range out.Endpoints {
		if out.Endpoints[n].TargetRef != nil {
			out.Endpoints[n].TargetRef = nil
			dropped++
		}
	}
	if dropped > 0 {
		f.changed(i.ref(), "its endpoints do not name their pods, as these are not here")
	}
}

// oldEndpoints are what clusters had before EndpointSlices, and captures made then still have.
//
//lint:ignore SA1019 Kubernetes deprecates the kind, and serves it for good
type oldEndpoints = corev1.Endpoints

// endpoints turns Endpoints into EndpointSlices, which is what istiod reads, unless the file has those too.
func (f *fitting) endpoints(i item, o *oldEndpoints) {
	if f.sliced[o.Namespace+"/"+o.Name] {
		return // the slices say the same
	}
	k, _ := lookup("discovery.k8s.io/v1", "EndpointSlice")
	for n, subset := range o.Subsets {
		s := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
		s.Namespace, s.Name = o.Namespace, o.Name+"-"+itoa(n)
		s.Labels = map[string]string{discoveryv1.LabelServiceName: o.Name, discoveryv1.LabelManagedBy: reproducedBy}
		for _, p := range subset.Ports {
			p.Protocol = cmp.Or(p.Protocol, corev1.ProtocolTCP)
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
		}
		s.Endpoints = append(endpointsOf(subset.Addresses, true), endpointsOf(subset.NotReadyAddresses, false)...)
		if len(s.Endpoints) > maxEndpoints {
			f.leave(i, "has more endpoints in a subset than an EndpointSlice takes")
			continue
		}
		f.slice(item{k, s}, s)
	}
}

// maxEndpoints is how many endpoints the api-server takes in one slice (Kubernetes pkg/apis/discovery/validation).
const maxEndpoints = 1000

func endpointsOf(addresses []corev1.EndpointAddress, ready bool) []discoveryv1.Endpoint {
	var out []discoveryv1.Endpoint
	for _, a := range addresses {
		if ip, err := netip.ParseAddr(a.IP); err != nil || !ip.Is4() {
			continue
		}
		is := ready
		out = append(out, discoveryv1.Endpoint{
			Addresses: []string{a.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &is}, NodeName: a.NodeName, TargetRef: a.TargetRef,
		})
	}
	return out
}
