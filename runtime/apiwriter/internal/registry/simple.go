package registry

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// simple reports whether the pod asks for nothing else that the api-server computes or rewrites: a priority class, a
// runtime class, gates, affinities, AppArmor, volumes that are claimed. A pod that istiod has injected is simple.
func simple(p *corev1.Pod) bool {
	s := &p.Spec
	if s.NodeName == "" || s.PriorityClassName != "" || s.Priority != nil || s.RuntimeClassName != nil || s.Resources != nil || s.Affinity != nil ||
		len(s.TopologySpreadConstraints)+len(s.SchedulingGates)+len(s.EphemeralContainers)+len(s.ResourceClaims) > 0 {
		return false
	}
	if c := s.SecurityContext; c != nil && (c.AppArmorProfile != nil || c.SeccompProfile != nil) {
		return false
	}
	for _, v := range s.Volumes {
		// One without a source is an emptyDir, once it is read.
		if s := v.VolumeSource; s != (corev1.VolumeSource{}) && s.EmptyDir == nil && s.Projected == nil && s.DownwardAPI == nil && s.ConfigMap == nil && s.Secret == nil {
			return false
		}
	}
	for c := range containers(p) {
		sc := c.SecurityContext
		if len(c.Resources.Claims) > 0 || sc != nil && (sc.AppArmorProfile != nil || sc.SeccompProfile != nil) {
			return false
		}
	}
	return true
}

// containers are all of the pod, in place: they are large.
func containers(p *corev1.Pod) iter.Seq[*corev1.Container] {
	return func(yield func(*corev1.Container) bool) {
		for _, list := range [...][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
			for i := range list {
				if !yield(&list[i]) {
					return
				}
			}
		}
	}
}

// qosClass is the pod's quality of service where it takes no sums to know it (pkg/apis/core/v1/helper/qos, ComputePodQOS):
// no container with resources is BestEffort, and one with and one without limits is Burstable.
func qosClass(p *corev1.Pod) (class corev1.PodQOSClass, known bool) {
	some, unlimited := false, false
	for c := range containers(p) {
		some = some || asks(c.Resources.Requests) || asks(c.Resources.Limits)
		unlimited = unlimited || !asks(c.Resources.Limits)
	}
	switch {
	case !some:
		return corev1.PodQOSBestEffort, true
	case unlimited:
		return corev1.PodQOSBurstable, true
	}
	return "", false
}

// asks reports whether the list is about what the quality of service is made of.
func asks(l corev1.ResourceList) bool {
	return l.Cpu().Sign() > 0 || l.Memory().Sign() > 0
}
