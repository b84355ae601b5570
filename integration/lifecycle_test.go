package integration

import (
	"strings"
	"testing"
)

// TestLifecycle takes a mesh through every action that changes one, on the real api-server.
func TestLifecycle(t *testing.T) {
	box := sharedSandbox(t)
	p := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "lifecycle"
maxLateness: "1m" // how fast this machine is, is not what is tested
_up: "pods.ready == pods.desired && endpoints.ready == endpoints.desired && xds.synced == xds.desired && xds.open == xds.desired"
phases: [
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 2, name: "life", apps: [{name: "web", type: "sidecar", replicas: 2, pods: 2}, {name: "db", pods: 1}]},
		{action: "apply", scope: "app", select: "app.type == 'sidecar'", objects: [{
			apiVersion: "networking.istio.io/v1", kind: "VirtualService"
			metadata: name: "${app.name}"
			spec: {
				hosts: ["${app.host}"]
				http: [{name: "g${generation}", route: [{destination: host: "${app.host}"}]}]
			}
		}]},
		{action: "wait", until: _up, timeout: "1m"},
	]},
	{name: "scale", steps: [
		{action: "scale", select: "app.name == 'web-0'", to: 5},
		{action: "wait", until: _up, timeout: "1m"},
		{action: "assert", expr: "pods.desired == 16 && kube.list('v1', 'Pod', {'namespace': 'life-0', 'labels': 'app=web-0'}).size() == 5"},
		{action: "scale", select: "app.name == 'web-0'", by: -4},
		{action: "wait", until: _up, timeout: "1m"},
		{action: "assert", expr: "pods.desired == 8"},
	]},
	{name: "config", steps: [
		{action: "churnConfig", rate: "10/s", duration: "2s", of: [{kind: "VirtualService"}]},
		{action: "assert", expr: "kube.list('networking.istio.io/v1', 'VirtualService').all(v, v.spec.http[0].name.matches('^g[1-9][0-9]*$'))"},
	]},
	{name: "restart", steps: [
		{action: "churnPods", rate: "1/s", duration: "2s", unit: "namespace", order: "oldFirst"},
		{action: "wait", until: _up + " && changes.pending == 0", timeout: "1m"},
	]},
	{name: "delete", steps: [
		{action: "delete", unit: "pod", select: "app.name == 'web-1' && pod.index == 0"},
		{action: "delete", unit: "app", select: "app.name == 'db' && ns.name == 'life-0'"},
		{action: "delete", objects: [{apiVersion: "networking.istio.io/v1", kind: "VirtualService", namespace: "life-0", name: "web-1"}]},
		{action: "delete", unit: "namespace", select: "ns.index == 1"},
		{action: "wait", until: _up + " && kube.list('v1', 'Namespace', {'name': 'life-1'}).size() == 0 && kube.list('v1', 'Pod', {'labels': 'app'}).size() == 2", timeout: "1m"},
		{action: "assert", expr: "namespaces.desired == 1 && services.desired == 2 && pods.desired == 2 && xds.desired == 2 && xds.disconnects == 0"},
		{action: "assert", expr: "kube.list('networking.istio.io/v1', 'VirtualService').map(v, v.metadata.name) == ['web-0']"},
	]},
]
thresholds: [{expr: "xds.nacks == 0 && writer.errors == 0"}]
`))
	if !strings.Contains(p.stdout.String(), "PASS") {
		t.Errorf("%s", p.stdout)
	}
	checkPlan(t, p.report(t))
	checkEmpty(t, box)
}
