package runtime

import "fmt"

// Pods live in 10.128.0.0/9, a /23 for each node, nodes themselves in 172.16.0.0/12, so that neither meets the sandbox's
// Service range, machines outside of the cluster in 198.18.0.0/15, which is set aside for benchmarks (RFC 2544), and what
// templates ask ip() for in 100.64.0.0/10, the shared address space (RFC 6598).
const (
	podNet     = 10<<24 | 128<<16
	nodeNet    = 172<<24 | 16<<16
	nodeBits   = 9 // a /23 holds 512 addresses
	firstSlot  = 2 // .0 is the network, .1 the bridge on a real node
	endSlot    = 1<<nodeBits - 1
	podNetBits = 23 // host bits of 10.128.0.0/9

	machineNet  = 198<<24 | 18<<16
	maxMachines = 1<<17 - 2 // the hosts of a /15

	objectNet    = 100<<24 | 64<<16
	maxObjectIPs = 1<<22 - 2 // the hosts of a /10
)

// MaxNodes is how many nodes the pod address space has room for.
const MaxNodes = 1 << (podNetBits - nodeBits)

// podSlots are the pod addresses of one node. A freed address is given out again only after all the others, so that a
// proxy that still uses it is long gone.
type podSlots struct {
	used [1 << nodeBits / 64]uint64
	live int16
	next int16
}

func (n *Node) maxPods() int {
	if n.MaxPods <= 0 || n.MaxPods > PodsPerNode {
		return PodsPerNode
	}
	return n.MaxPods
}

// take reserves an address; false if the node is full.
func (n *Node) take() (int16, bool) {
	if int(n.slots.live) >= n.maxPods() {
		return 0, false
	}
	if n.slots.next < firstSlot {
		n.slots.next = firstSlot
	}
	for {
		s := n.slots.next
		if n.slots.next++; n.slots.next >= endSlot {
			n.slots.next = firstSlot
		}
		if n.slots.used[s/64]&(1<<(s%64)) == 0 {
			n.slots.used[s/64] |= 1 << (s % 64)
			n.slots.live++
			return s, true
		}
	}
}

func (n *Node) release(slot int16) {
	n.slots.used[slot/64] &^= 1 << (slot % 64)
	n.slots.live--
}

func (n *Node) podIP(slot int16) string {
	return dotted(podNet + uint32(n.Index)<<nodeBits + uint32(slot))
}

// PodCIDR is the node's pod range.
func (n *Node) PodCIDR() string { return dotted(podNet+uint32(n.Index)<<nodeBits) + "/23" }

// IP is the node's own address.
func (n *Node) IP() string { return dotted(nodeNet + uint32(n.Index) + 1) }

// AgentIP is the address of the node agent's pod (ztunnel): the bridge address, which no other pod gets.
func (n *Node) AgentIP() string { return n.podIP(1) }

func dotted(ip uint32) string {
	return fmt.Sprintf("%d.%d.%d.%d", ip>>24, ip>>16&255, ip>>8&255, ip&255)
}
