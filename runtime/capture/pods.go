package capture

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

func itoa(n int) string { return strconv.Itoa(n) }

// strayNode is where pods are put that name no node.
const strayNode = "reproduced"

// nodeName is the node of a pod.
func nodeName(o *corev1.Pod) string {
	if o.Spec.NodeName == "" {
		return strayNode
	}
	return o.Spec.NodeName
}

// pod fits a pod, and the proxy in it.
func (f *fitting) pod(i item, o *corev1.Pod) {
	out := f.runnable(o)
	if f.real() {
		f.readdress(i, out)
	}
	if proxy, ok := runtime.PodProxy(o); ok {
		f.proxy(proxy, out)
	}
	f.place(i.kind, out)
	switch {
	case readiness(o) != corev1.ConditionTrue:
		f.out.Unready = append(f.out.Unready, Write{Kind: i.kind.name, Object: unready(o, out), Status: true})
	case o.Labels[runtime.LabelRole] != runtime.RoleNodeAgent: // which is its node's
		f.out.Population.Pods++
	}
}

// unready is a pod with the status that it was captured with: it runs and is not ready.
func unready(o, made *corev1.Pod) *corev1.Pod {
	out := &corev1.Pod{}
	out.Namespace, out.Name = made.Namespace, made.Name
	ip := made.Annotations[runtime.AnnotationIP]
	out.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}}
	if host := o.Status.HostIP; host != "" {
		out.Status.HostIP, out.Status.HostIPs = host, []corev1.HostIP{{IP: host}}
	}
	for _, c := range []struct {
		of corev1.PodConditionType
		is corev1.ConditionStatus
	}{
		{corev1.PodScheduled, corev1.ConditionTrue}, {corev1.PodInitialized, corev1.ConditionTrue},
		{corev1.ContainersReady, corev1.ConditionFalse}, {corev1.PodReady, corev1.ConditionFalse},
	} {
		out.Status.Conditions = append(out.Status.Conditions, corev1.PodCondition{Type: c.of, Status: c.is})
	}
	return out
}

// readdress gives a pod an address that is nobody's.
func (f *fitting) readdress(i item, out *corev1.Pod) {
	ip, err := f.Address()
	if err != nil {
		f.err = err
		return
	}
	f.changed(i.ref(), "gets the address %s in place of %s", ip, out.Annotations[runtime.AnnotationIP])
	out.Annotations[runtime.AnnotationIP] = ip
	out.Spec.HostNetwork = false // or it would get its node's
}

// runnable is a pod as the fake kubelet runs it: with its address, and not injected again.
func (f *fitting) runnable(o *corev1.Pod) *corev1.Pod {
	out := o.DeepCopy()
	f.node(o)
	out.Spec.NodeName = nodeName(o)
	out.Status = corev1.PodStatus{}
	if out.Annotations = istioOnly(out.Annotations); out.Annotations == nil {
		out.Annotations = map[string]string{}
	}
	out.Annotations[runtime.AnnotationIP] = o.Status.PodIP
	if !f.own() {
		out.OwnerReferences = nil // a garbage collector would not find them
	}
	if f.injected[o.Namespace] || o.Labels[labelInject] != "" || o.Labels["istio.io/rev"] != "" {
		if o.Labels[labelInject] != "false" {
			f.marked++
		}
		out.Labels = maps.Clone(o.Labels)
		if out.Labels == nil {
			out.Labels = map[string]string{}
		}
		out.Labels[labelInject] = "false"
	}
	no, zero := false, int64(0)
	out.Spec.AutomountServiceAccountToken, out.Spec.TerminationGracePeriodSeconds = &no, &zero
	out.Spec.Tolerations = []corev1.Toleration{{Key: runtime.LabelClass, Operator: corev1.TolerationOpExists}}
	return out
}

// labelInject decides about the injection of a pod before anything else does.
const labelInject = "sidecar.istio.io/inject"

// node makes sure that the pod's node is made.
func (f *fitting) node(o *corev1.Pod) {
	name := nodeName(o)
	if f.placed[name] {
		return
	}
	f.placed[name] = true
	n := Node{Name: name, IP: o.Status.HostIP}
	if n.IP == "" && o.Spec.HostNetwork {
		n.IP = o.Status.PodIP
	}
	if known := f.nodes[name]; known != nil {
		n.Labels = known.Labels
		if len(known.Status.Addresses) > 0 {
			n.IP = known.Status.Addresses[0].Address
		}
	}
	if f.real() {
		n.IP = ""
	}
	f.out.Nodes = append(f.out.Nodes, n)
	f.out.Population.Nodes++
}

// proxy adds the proxy of a pod, in the locality of its node.
func (f *fitting) proxy(p runtime.Proxy, made *corev1.Pod) {
	p.Node, p.IP, p.Pod = made.Spec.NodeName, made.Annotations[runtime.AnnotationIP], true
	if n := f.nodes[p.Node]; n != nil {
		p.Zone, p.Region = n.Labels[corev1.LabelTopologyZone], n.Labels[corev1.LabelTopologyRegion]
	}
	f.out.Proxies = append(f.out.Proxies, p)
}

// podChanges sums up what is changed in many pods alike.
func (f *fitting) podChanges() {
	if f.marked > 0 {
		f.changed(Ref{Kind: "Pod"}, "%d get the label %s=false, so that this istiod does not inject them again", f.marked, labelInject)
	}
}
