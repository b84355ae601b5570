package runtime

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPodProxy: what the proxy's arguments say goes before what labels say, and a pod without a proxy has none.
func TestPodProxy(t *testing.T) {
	t.Parallel()
	proxy := func(args ...string) corev1.Container { return corev1.Container{Name: "istio-proxy", Args: args} }
	app := corev1.Container{Name: "app"}
	for name, tc := range map[string]struct {
		labels, annotations map[string]string
		init, containers    []corev1.Container
		want                ProxyClass // "" is none
	}{
		"injected":             {containers: []corev1.Container{app, proxy("proxy", "sidecar", "--domain", "x")}, want: ClassSidecar},
		"native sidecar":       {init: []corev1.Container{{Name: "istio-init"}, proxy("proxy", "sidecar")}, containers: []corev1.Container{app}, want: ClassSidecar},
		"native, by name":      {init: []corev1.Container{proxy()}, containers: []corev1.Container{app}, want: ClassSidecar},
		"gateway":              {containers: []corev1.Container{proxy("proxy", "router")}, want: ClassGateway},
		"gateway with another": {containers: []corev1.Container{app, proxy("proxy", "router")}, want: ClassGateway},
		"gateway, alone":       {containers: []corev1.Container{proxy()}, want: ClassGateway},
		"gateway, by template": {annotations: map[string]string{"inject.istio.io/templates": "gateway"}, containers: []corev1.Container{app}, want: ClassGateway},
		"gateway, managed":     {labels: map[string]string{"gateway.istio.io/managed": "istio.io-gateway-controller"}, containers: []corev1.Container{proxy(), app}, want: ClassGateway},
		"waypoint":             {containers: []corev1.Container{proxy("proxy", "waypoint")}, want: ClassWaypoint},
		"waypoint, by label":   {labels: map[string]string{"gateway.istio.io/managed": "istio.io-mesh-controller"}, containers: []corev1.Container{proxy()}, want: ClassWaypoint},
		"ztunnel":              {labels: map[string]string{"app": "ztunnel"}, containers: []corev1.Container{proxy("proxy", "ztunnel")}, want: ClassZtunnel},
		"ztunnel, by label":    {labels: map[string]string{"app.kubernetes.io/name": "ztunnel"}, containers: []corev1.Container{proxy()}, want: ClassZtunnel},
		"plain":                {containers: []corev1.Container{app}},
		"an app called so":     {labels: map[string]string{"app": "ztunnel"}, containers: []corev1.Container{app}},
		"nothing":              {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a-0", Namespace: "ns", Labels: tc.labels, Annotations: tc.annotations}, Spec: corev1.PodSpec{InitContainers: tc.init, Containers: tc.containers}}
			p, ok := PodProxy(pod)
			if ok != (tc.want != "") || p.Class != tc.want {
				t.Errorf("%q, %v, want %q", p.Class, ok, tc.want)
			}
			if ok && (p.Key() != "ns/a-0" || p.ServiceAccount != "default") {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestPodProxyMetadata: what the injector writes into the proxy's environment is its metadata, as far as it is written
// there and not looked up.
func TestPodProxyMetadata(t *testing.T) {
	t.Parallel()
	p, ok := PodProxy(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a-0", Labels: map[string]string{"app": "a"}},
		Spec: corev1.PodSpec{ServiceAccountName: "shop", NodeName: "n", Containers: []corev1.Container{{Name: "istio-proxy", Env: []corev1.EnvVar{
			{Name: "ISTIO_META_CLUSTER_ID", Value: "west"}, {Name: "ISTIO_META_WORKLOAD_NAME", Value: "shop"}, {Name: "ISTIO_META_", Value: "x"},
			{Name: "ISTIO_META_NODE_NAME", ValueFrom: &corev1.EnvVarSource{}}, {Name: "ISTIO_META_APP", Value: "$(APP)"}, {Name: "OTHER", Value: "x"},
		}}}},
		Status: corev1.PodStatus{PodIP: "10.0.0.1"},
	})
	if want := map[string]string{"CLUSTER_ID": "west", "WORKLOAD_NAME": "shop"}; !ok || !maps.Equal(p.Metadata, want) {
		t.Errorf("metadata %v, want %v", p.Metadata, want)
	}
	if p.App != "shop" || p.ServiceAccount != "shop" || p.Node != "n" || p.IP != "10.0.0.1" {
		t.Errorf("%+v", p)
	}
}
