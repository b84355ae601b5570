package cluster

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// StartPod gives a pod that is being made the status that its kubelet would write next, if that can be now: for a writer
// that can store pods which run already. A pod that takes time to start, or whose address is still another's, is left as it
// is.
func (c *Cluster) StartPod(p *corev1.Pod, node *corev1.Node, now time.Time) {
	if c.cfg.Kubelet.StartP50 > 0 {
		return
	}
	if planned, err := netip.ParseAddr(p.Annotations[runtime.AnnotationIP]); err == nil {
		c.mu.Lock()
		n := c.state.nodes[node.Name]
		held := n != nil && n.taken[planned] != nil && !n.taken[planned].is(p.Namespace, p.Name)
		c.mu.Unlock()
		if held {
			return
		}
	}
	StartPod(p, node, now)
}

// StartPod gives a pod that is being made the status that its kubelet would write next, if the pod has a planned address
// and is to run on node.
func StartPod(p *corev1.Pod, node *corev1.Node, now time.Time) {
	ip, err := netip.ParseAddr(p.Annotations[runtime.AnnotationIP])
	if err == nil && !p.Spec.HostNetwork {
		p.Status = runningStatus(p, internalIP(node), ip.String(), metav1.NewTime(now.Truncate(time.Second)))
	}
}

// address is the pod's IP: the planned one, or the highest in the node's range that is free. The run plans from the
// bottom of the range, so that pods that others put on the node stay out of its way.
func (n *node) address(p *pod, obj *corev1.Pod) (string, bool) {
	if obj.Spec.HostNetwork {
		return n.ip, n.ip != ""
	}
	if planned, err := netip.ParseAddr(obj.Annotations[runtime.AnnotationIP]); err == nil {
		n.take(planned, p)
		return planned.String(), true
	}
	if !n.cidr.IsValid() || !n.cidr.Addr().Is4() {
		return "", false
	}
	for ip := lastAddress(n.cidr).Prev(); ip.IsValid() && n.cidr.Contains(ip) && ip != n.cidr.Masked().Addr(); ip = ip.Prev() {
		if owner := n.taken[ip]; owner == nil || owner == p {
			n.take(ip, p)
			return ip.String(), true
		}
	}
	return "", false
}

// held reports whether the planned address of p is still that of another pod, for whose end p then waits: as long as the
// other is in the api-server its proxy may be connected.
func (n *node) held(p *pod, obj *corev1.Pod) bool {
	planned, err := netip.ParseAddr(obj.Annotations[runtime.AnnotationIP])
	if err != nil || obj.Spec.HostNetwork {
		return false
	}
	owner := n.taken[planned]
	if owner == nil || owner == p || owner.phase == done {
		return false
	}
	if !slices.Contains(n.waiting[planned], p) {
		n.waiting[planned] = append(n.waiting[planned], p)
	}
	return true
}

// take gives ip to p, and frees the one it had.
func (n *node) take(ip netip.Addr, p *pod) {
	if p.taken == ip && n.taken[ip] == p {
		return
	}
	n.free(p)
	p.taken, n.taken[ip] = ip, p
}

func (n *node) free(p *pod) {
	if n.taken[p.taken] == p {
		delete(n.taken, p.taken)
	}
}

// lastAddress is the broadcast address of an IPv4 range.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(b)
}

// runningConditions are those that a kubelet reports of a pod that runs, all true.
var runningConditions = []corev1.PodConditionType{
	corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
}

// start is what the statuses of all pods that begin to run at one time have in common.
type start struct {
	at         metav1.Time
	conditions []corev1.PodCondition
	running    corev1.ContainerStateRunning
}

// lastStart is the latest: a load starts thousands of pods in a second, and the parts of a status that they share are
// half of its memory.
var lastStart atomic.Pointer[start]

// startAt is the start at that time, of which nothing may be changed.
func startAt(at metav1.Time) *start {
	if s := lastStart.Load(); s != nil && s.at == at {
		return s
	}
	s := &start{at: at, conditions: make([]corev1.PodCondition, len(runningConditions)), running: corev1.ContainerStateRunning{StartedAt: at}}
	for i, t := range runningConditions {
		s.conditions[i] = corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: at}
	}
	lastStart.Store(s)
	return s
}

// runningStatus is the status of a pod all of whose containers are ready, as a kubelet writes it. It keeps what the
// api-server has set (the QoS class). It is to be read only: pods that start at one time share parts of it.
func runningStatus(p *corev1.Pod, hostIP, ip string, now metav1.Time) corev1.PodStatus {
	st, begun := p.Status, startAt(now)
	st.Phase = corev1.PodRunning
	st.StartTime = &begun.at
	st.PodIP, st.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	if hostIP != "" {
		st.HostIP, st.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	}
	st.Conditions = slices.Clip(begun.conditions)
	st.InitContainerStatuses, st.ContainerStatuses = nil, make([]corev1.ContainerStatus, 0, len(p.Spec.Containers))
	for i := range p.Spec.InitContainers {
		ct := &p.Spec.InitContainers[i]
		if ct.RestartPolicy != nil && *ct.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			st.InitContainerStatuses = append(st.InitContainerStatuses, runningContainer(p, ct, begun)) // a native sidecar
			continue
		}
		st.InitContainerStatuses = append(st.InitContainerStatuses, completedContainer(p, ct, now))
	}
	for i := range p.Spec.Containers {
		st.ContainerStatuses = append(st.ContainerStatuses, runningContainer(p, &p.Spec.Containers[i], begun))
	}
	return st
}

func runningContainer(p *corev1.Pod, ct *corev1.Container, begun *start) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: ct.Name, Image: ct.Image, ImageID: ct.Image, ContainerID: containerID(p, ct),
		Ready: true, Started: &yes,
		State: corev1.ContainerState{Running: &begun.running},
	}
}

func completedContainer(p *corev1.Pod, ct *corev1.Container, now metav1.Time) corev1.ContainerStatus {
	started := false
	return corev1.ContainerStatus{
		Name: ct.Name, Image: ct.Image, ImageID: ct.Image, ContainerID: containerID(p, ct),
		Ready: true, Started: &started,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: containerID(p, ct),
		}},
	}
}

func containerID(p *corev1.Pod, ct *corev1.Container) string {
	return "plscript://" + string(p.UID) + "/" + ct.Name
}

// namedPorts are the container ports that a Service can name as its target.
func namedPorts(p *corev1.Pod) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	add := func(cs []corev1.Container) {
		for _, c := range cs {
			for _, port := range c.Ports {
				if port.Name != "" {
					out = append(out, port)
				}
			}
		}
	}
	add(p.Spec.Containers)
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add([]corev1.Container{c})
		}
	}
	return out
}
