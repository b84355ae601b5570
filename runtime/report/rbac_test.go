package report

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

func TestPlural(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"Pod": "pods", "Gateway": "gateways", "ServiceEntry": "serviceentries", "Ingress": "ingresses", "Telemetry": "telemetries",
		"AuthorizationPolicy": "authorizationpolicies", "EndpointSlice": "endpointslices", "Endpoints": "endpoints", "GatewayClass": "gatewayclasses",
		"HTTPRoute": "httproutes", "ProxyConfig": "proxyconfigs", "WasmPlugin": "wasmplugins", "PeerAuthentication": "peerauthentications",
	} {
		if got := plural(kind); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestClusterRole(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteClusterRole(&b, &runtime.Plan{Scenario: &ir.Scenario{Name: "x"}}); err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(b.String()), &role); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	for _, r := range role.Rules {
		if len(r.Resources) == 1 && r.Resources[0] == "pods/status" && len(r.Verbs) == 1 && r.Verbs[0] == "update" {
			return
		}
	}
	t.Errorf("the fake kubelet may not set a pod's status:\n%s", b.String())
}
