package actions

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/plscript/plscript/runtime"
)

// checkService finds settings of a Service on an app that has none, or that needs another.
func (s appSpec) checkService(c *runtime.Checker, path string) {
	switch {
	case !s.Type.InCluster() && s.Headless:
		c.Errorf(path+".headless", "an app of type %s has no Service", s.Type)
	case !s.Type.InCluster() && !s.hasSelector():
		c.Errorf(path+".selector", "an app of type %s has no Service", s.Type)
	case s.Type == runtime.AppWaypoint && s.Headless:
		c.Errorf(path+".headless", "a waypoint is found by the address of its Service: leave it out")
	}
}

func (s appSpec) hasSelector() bool { return s.Selector == nil || *s.Selector }

// shapeService makes the Service of an app headless, or one whose pods only plscript finds.
func shapeService(s *corev1.Service, app *runtime.App) {
	if app.Headless {
		s.Spec.ClusterIP = corev1.ClusterIPNone
	}
	if app.NoSelector {
		s.Annotations = map[string]string{runtime.AnnotationSelector: labels.FormatLabels(s.Spec.Selector)}
		s.Spec.Selector = nil
	}
}

// maxHostname is how long a pod's hostname may be: a label of DNS.
const maxHostname = 63

// stablePod gives a pod behind a headless Service the name that a StatefulSet's have, so that DNS knows it by itself.
func stablePod(pod *runtime.Pod, spec corev1.PodSpec) corev1.PodSpec {
	if name := pod.Name(); pod.App.Headless && len(name) <= maxHostname {
		spec.Hostname, spec.Subdomain = name, pod.App.Name
	}
	return spec
}
