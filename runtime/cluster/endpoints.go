package cluster

import (
	"hash/fnv"
	"maps"
	"slices"
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

// Conditions are pointers, and slices are never changed: all endpoints share these.
var yes, no = true, false

func truth(b bool) *bool {
	if b {
		return &yes
	}
	return &no
}

// endpointOf is the endpoint of p in the slices of s.
func (st *state) endpointOf(s *service, p *pod) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{
		Addresses: []string{p.ip},
		Conditions: discoveryv1.EndpointConditions{
			Ready: truth(s.addresses(p) == 1), Serving: truth(p.ready), Terminating: truth(p.terminating),
		},
	}
	if !st.phantoms { // istiod leaves out an endpoint that refers to a Pod which it does not see
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: p.namespace, Name: p.name, UID: p.uid}
	}
	if p.node != "" {
		n := st.node(p.node)
		e.Zone = n.zone
		if !st.phantoms {
			e.NodeName = &n.name
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
	var g group // of the pod before: most pods of a Service have the same ports
	var key string
	var named []corev1.ContainerPort
	for p := range s.members {
		if !p.listed() {
			continue
		}
		if len(g.endpoints) == 0 || !slices.Equal(named, p.ports) {
			if len(g.endpoints) > 0 {
				want[key] = g
			}
			ports := endpointPorts(s, p)
			key, named = portKey(ports), p.ports
			if g = want[key]; g.endpoints == nil {
				g = group{ports: ports, endpoints: make([]discoveryv1.Endpoint, 0, len(s.members))}
			}
		}
		g.endpoints = append(g.endpoints, st.endpointOf(s, p))
	}
	if len(g.endpoints) > 0 {
		want[key] = g
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
