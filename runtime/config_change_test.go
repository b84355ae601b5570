package runtime

import "testing"

func TestConfigChangeKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		apiVersion, kind string
		want             ChangeKind
	}{
		{"networking.istio.io/v1", "VirtualService", ChangeRoute},
		{"networking.istio.io/v1alpha3", "VirtualService", ChangeRoute},
		{"networking.istio.io/v1", "Gateway", ChangeListener},
		{"gateway.networking.k8s.io/v1", "Gateway", ChangeListener},
		{"gateway.networking.k8s.io/v1beta1", "ReferenceGrant", ChangeRoute},
		{"v1", "Service", ChangeCluster},
		{"serving.knative.dev/v1", "Service", ""},
		{"v1", "ConfigMap", ""},
		{"v1", "Namespace", ""},
		{"networking.istio.io/v1", "WorkloadEntry", ""},
	} {
		got, ok := ConfigChangeKind(ObjectKey{APIVersion: c.apiVersion, Kind: c.kind})
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s %s is %q, %v, want %q", c.apiVersion, c.kind, got, ok, c.want)
		}
	}
}
