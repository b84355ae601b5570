package actions

import (
	"maps"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

const (
	leaseSeconds = 40 // kubelet's default nodeLeaseDurationSeconds
	istioSystem  = "istio-system"
)

// nodeSpec is what nodes are like.
type nodeSpec struct {
	Labels         map[string]string `json:"labels"`
	Metadata       map[string]string `json:"metadata"` // of their ztunnels
	KubeletVersion string            `json:"kubeletVersion"`
	Capacity       nodeCapacity      `json:"capacity"`
}

type nodeCapacity struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
	Pods   int    `json:"pods"`
}

// plainNode is one that is added because pods need it: as createNodes makes them unless told.
var plainNode = nodeSpec{KubeletVersion: "v1.36.3", Capacity: nodeCapacity{CPU: "32", Memory: "256Gi", Pods: runtime.PodsPerNode}}

// resources are the node's capacity as Kubernetes has it. A quantity that cannot be read is left out; Check has found it.
func (c nodeCapacity) resources() corev1.ResourceList {
	out := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(c.Pods), resource.DecimalSI)}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: c.CPU, corev1.ResourceMemory: c.Memory} {
		if q, err := resource.ParseQuantity(text); err == nil {
			out[name] = q
		}
	}
	return out
}

// nodeIntents are the writes that make one node: the Node, its lease and, if it has one, its ztunnel's pod.
func nodeIntents(n *runtime.Node, spec nodeSpec, now time.Time) []runtime.Intent {
	out := []runtime.Intent{
		{Verb: runtime.VerbCreate, Kind: "Node", Name: n.Name, Build: func() runtime.Object { return nodeObject(n, spec, now) }},
		{Verb: runtime.VerbCreate, Group: "coordination.k8s.io", Kind: "Lease", Namespace: corev1.NamespaceNodeLease, Name: n.Name, Build: func() runtime.Object { return leaseObject(n, now) }},
	}
	if !n.Ztunnel {
		return out
	}
	name := ztunnelName(n)
	return append(out, runtime.Intent{
		Verb: runtime.VerbCreate, Kind: "Pod", Namespace: istioSystem, Name: name, Class: runtime.ClassZtunnel,
		Build: func() runtime.Object { return ztunnelPod(n, name) },
		Want: func() runtime.Proxy {
			return runtime.Proxy{
				Class: runtime.ClassZtunnel, Namespace: istioSystem, Name: name, IP: n.AgentIP(), Node: n.Name,
				ServiceAccount: "ztunnel", App: "ztunnel", Labels: ztunnelLabels, Zone: n.Zone, Region: n.Region,
				Pod: true, Metadata: spec.Metadata,
			}
		},
	})
}

// ztunnelName is the name of the node's ztunnel pod.
// checkZtunnels refuses field, which declares ztunnels, in a scenario whose istiod would serve none.
func checkZtunnels(c *runtime.Checker, field string) {
	if !c.Sandbox.Ambient() {
		c.Errorf(field, "istiod serves ztunnels in an ambient mesh only, and the scenario has `sandbox: profile: %q`", c.Sandbox.Profile)
	}
}

func ztunnelName(n *runtime.Node) string { return "ztunnel-" + n.Name }

func nodeObject(n *runtime.Node, spec nodeSpec, now time.Time) *corev1.Node {
	all := map[string]string{
		runtime.LabelClass:             "fake",
		corev1.LabelHostname:           n.Name,
		corev1.LabelOSStable:           "linux",
		corev1.LabelArchStable:         "amd64",
		corev1.LabelTopologyZone:       n.Zone,
		corev1.LabelTopologyRegion:     n.Region,
		corev1.LabelInstanceTypeStable: "fake",
	}
	maps.Copy(all, spec.Labels)
	capacity := spec.Capacity.resources()
	stamp := metav1.NewTime(now)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: all},
		Spec: corev1.NodeSpec{
			PodCIDR: n.PodCIDR(), PodCIDRs: []string{n.PodCIDR()},
			// Keeps a real scheduler from placing other pods here.
			Taints: []corev1.Taint{{Key: runtime.LabelClass, Value: "fake", Effect: corev1.TaintEffectNoSchedule}},
		},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: n.IP()}, {Type: corev1.NodeHostName, Address: n.Name}},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: spec.KubeletVersion, OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: "fake://1",
			},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status",
				LastHeartbeatTime: stamp, LastTransitionTime: stamp,
			}},
		},
	}
}

func leaseObject(n *runtime.Node, now time.Time) *coordinationv1.Lease {
	seconds, renewed := int32(leaseSeconds), metav1.NewMicroTime(now)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Namespace: corev1.NamespaceNodeLease},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}
}

// ztunnelLabels are those of the ztunnel chart's DaemonSet pods.
var ztunnelLabels = map[string]string{
	"app": "ztunnel", "app.kubernetes.io/name": "ztunnel", runtime.LabelRole: runtime.RoleNodeAgent,
	"istio.io/dataplane-mode": "none", "sidecar.istio.io/inject": "false",
}

func ztunnelPod(n *runtime.Node, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: istioSystem, Labels: maps.Clone(ztunnelLabels),
			Annotations: map[string]string{runtime.AnnotationIP: n.AgentIP()},
		},
		Spec: podSpec(n, "ztunnel", container("istio-proxy", "istio/ztunnel")),
	}
}
