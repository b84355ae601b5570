package capture

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

// expected reports whether leaving out an object is nothing to tell of: what every cluster makes for itself, what is on
// its way in or out, and Secrets that are no business of istiod's.
func expected(k *kind, why string) bool {
	return k.name == "Secret" || k.name == "ConfigMap" || k.name == "Pod" && slices.Contains([]string{"has ended", "has no address yet", "was being deleted"}, why)
}

// own reduces an object that was read from a cluster further than one from a file, as nobody has looked at it yet: what
// may be private and is nothing to istiod goes. It returns nil for what is nothing to istiod altogether.
func own(k *kind, o runtime.Object) runtime.Object {
	if (&fitting{}).misplaced(item{k, o}) != "" {
		return nil
	}
	o.SetAnnotations(istioOnly(o.GetAnnotations()))
	if c, ok := o.(*corev1.ConfigMap); ok {
		// A route or a policy can take its certificate authority from a ConfigMap (Istio pilot/pkg/credentials/kube,
		// GetConfigMapCaCert), and nothing else.
		ca, ok := c.Data["ca.crt"]
		if !ok {
			ca, ok = c.Data["cacert"]
		}
		if !ok {
			return nil
		}
		c.Data = map[string]string{"ca.crt": ca}
	}
	return o
}
