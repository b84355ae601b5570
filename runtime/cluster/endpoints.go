package cluster

import (
	"hash/fnv"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// managedBy is the value of the label endpointslice.kubernetes.io/managed-by: consumers (istiod among them) take the
// slices for those of Kubernetes' own controller.
const managedBy = "endpointslice-controller.k8s.io"

// managedByUs is the same for Services without a selector, whose slices that controller leaves to others.
const managedByUs = "plscript.dev"

// endpointOf is the endpoint of p in the slices of s.
func (st *state) endpointOf(s *service, p *pod) discoveryv1.Endpoint {
	serving, terminating := p.ready, p.terminating
	listed := s.addresses(p) == 1
	e := discoveryv1.Endpoint{
		Addresses:  []string{p.ip},
		Conditions: discoveryv1.EndpointConditions{Ready: &listed, Serving: &serving, Terminating: &terminating},
	}
	if !st.phantoms { // istiod leaves out an endpoint that refers to a Pod which it does not see
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: p.namespace, Name: p.name, UID: p.uid}
	}
	if p.node != "" {
		if name := p.node; !st.phantoms {
			e.NodeName = &name
		}
		if n := st.nodes[p.node]; n != nil && n.zone != "" {
			zone := n.zone
			e.Zone = &zone
		}
	}
	if p.hostname != "" && p.subdomain == s.name {
		host := p.hostname
		e.Hostname = &host
	}
	return e
}

// groupsOf are the endpoints that the slices of s should hold, by ports.
func (st *state) groupsOf(s *service) map[string]group {
	want := map[string]group{}
	for p := range s.members {
		if !p.listed() {
			continue
		}
		ports := endpointPorts(s, p)
		key := portKey(ports)
		g, ok := want[key]
		if !ok {
			g = group{ports: ports, endpoints: map[endpointID]discoveryv1.Endpoint{}}
			want[key] = g
		}
		e := st.endpointOf(s, p)
		g.endpoints[idOf(&e)] = e
	}
	return want
}

// blankSlice is what all slices of s have in common. Like Kubernetes' own they carry the labels of the Service.
func blankSlice(s *service, runID string) *discoveryv1.EndpointSlice {
	labels := map[string]string{}
	maps.Copy(labels, s.labels)
	delete(labels, corev1.IsHeadlessService)
	if s.headless {
		labels[corev1.IsHeadlessService] = ""
	}
	labels[discoveryv1.LabelServiceName] = s.name
	labels[discoveryv1.LabelManagedBy] = managedBy
	if s.annotated {
		labels[discoveryv1.LabelManagedBy] = managedByUs
	}
	labels[runtime.LabelRun] = runID
	yes := true
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: s.name, UID: s.uid, Controller: &yes, BlockOwnerDeletion: &yes,
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
}

// sliceName is the nth name that is tried for a slice of s: the same in every run.
func sliceName(s *service, n int) string {
	h := fnv.New32a()
	h.Write([]byte(s.namespace + "/" + s.name + "/" + strconv.Itoa(n)))
	suffix := "00000" + strconv.FormatUint(uint64(h.Sum32()), 36)
	return s.name + "-" + suffix[len(suffix)-5:]
}

// sameEndpoint compares two endpoints with the same id.
func sameEndpoint(a, b *discoveryv1.Endpoint) bool {
	return value(a.Conditions.Ready) == value(b.Conditions.Ready) &&
		value(a.Conditions.Serving) == value(b.Conditions.Serving) &&
		value(a.Conditions.Terminating) == value(b.Conditions.Terminating) &&
		value(a.NodeName) == value(b.NodeName) &&
		value(a.Zone) == value(b.Zone) &&
		value(a.Hostname) == value(b.Hostname) &&
		len(a.Addresses) == len(b.Addresses) &&
		value(a.TargetRef) == value(b.TargetRef)
}

// readyAddresses is how many ready addresses the slice holds. A condition that is not set counts as ready, as the API
// defines it.
func readyAddresses(s *discoveryv1.EndpointSlice) (n int) {
	for i := range s.Endpoints {
		if c := s.Endpoints[i].Conditions.Ready; c == nil || *c {
			n += len(s.Endpoints[i].Addresses)
		}
	}
	return n
}
