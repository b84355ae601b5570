package runtime

import "time"

// Demand is an address that a ztunnel which works on demand has to know before traffic can go on.
type Demand struct {
	Ztunnel string // its key, "istio-system/ztunnel-node-0"
	// Address is a pod's as "/10.1.2.3", in the ztunnel's own network, or a service's as "namespace/host" (Istio
	// pilot/pkg/serviceregistry/ambient, index.Lookup).
	Address string
}

// Demands has ztunnels ask istiod for addresses.
type Demands interface {
	// Demand has a ztunnel ask, unless it did before, and returns at once. The time until the answer counts from since; a
	// ztunnel that is not there, or is sent all addresses anyway, counts as an error.
	Demand(d Demand, since time.Time)
}

// Learn plans that the ztunnel of n gets to know an address. It is false if it does already: the address itself, or one of
// those that it comes with, as pods come with their service.
func (m *Mesh) Learn(n *Node, address string, with ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.known[n]
	for _, a := range append(with, address) {
		if known[a] {
			return false
		}
	}
	if known == nil {
		if m.known == nil {
			m.known = map[*Node]map[string]bool{}
		}
		known = map[string]bool{}
		m.known[n] = known
	}
	known[address] = true
	return true
}

// PodAt returns the planned pod at the place; nil if it is empty by now.
func (m *Mesh) PodAt(at Place) *Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.i >= len(at.app.pods) {
		return nil
	}
	return at.app.pods[at.i]
}
