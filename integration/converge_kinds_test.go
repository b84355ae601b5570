package integration

import (
	"fmt"
	"strings"
	"testing"
)

// followed is an object, and how many proxies come to hold it, its update and its removal.
type followed struct {
	change                    string // the kind of change that it is
	kind                      string
	spec, update              string
	created, updated, removed int
}

const (
	listenerFilter = `configPatches: [{applyTo: "HTTP_FILTER"
		match: {context: "SIDECAR_INBOUND", listener: filterChain: filter: {
			name: "envoy.filters.network.http_connection_manager", subFilter: name: "envoy.filters.http.router"}}
		patch: {operation: "INSERT_BEFORE", value: {name: "test.lua", typed_config: {
			"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
			default_source_code: inline_string: "function envoy_on_request(h) h:headers():add('x', 'GENERATION') end"}}}}]`
	tlsServer  = `selector: app: "edge", servers: [{port: {number: 443, name: "tls", protocol: "HTTPS"}, tls: {mode: "SIMPLE", credentialName: "none"}, hosts: ["GENERATION.example.com"]}]`
	fixedEntry = `hosts: ["fixed.example.com"], ports: [{number: 80, name: "http", protocol: "HTTP"}], resolution: "STATIC", endpoints: [{address: "ADDRESS"}]`
	accessLog  = `accessLogging: [{providers: [{name: "envoy"}], filter: expression: "response.code >= CODE"}]`
)

// allFollowed are objects of all kinds that no resource names, and of those that few do. They are in the namespace kinds, which
// has two sidecars and a gateway; besides there are a sidecar elsewhere, a waypoint and a ztunnel.
var allFollowed = []followed{
	{"listener", "gateway.networking.k8s.io/v1 Gateway", `{gatewayClassName: "istio", addresses: [{type: "Hostname", value: "edge.kinds.svc.cluster.local"}]
		listeners: [{name: "l", port: 80, protocol: "HTTP", hostname: "k.example.com"}, {name: "t", port: 443, protocol: "TLS", hostname: "kt.example.com", tls: mode: "Passthrough"}]}`, "", 1, 0, 1},
	{"listener", "networking.istio.io/v1 Gateway", "{" + strings.ReplaceAll(tlsServer, "GENERATION", "one") + "}", "{" + strings.ReplaceAll(tlsServer, "GENERATION", "two") + "}", 1, 1, 1},
	{"route", "gateway.networking.k8s.io/v1 TLSRoute", `{parentRefs: [{name: "x"}], hostnames: ["kt.example.com"], rules: [{backendRefs: [{name: "web-0", port: 443}]}]}`, "", 1, 0, 1},
	{"route", "gateway.networking.k8s.io/v1 HTTPRoute", `{parentRefs: [{name: "x"}], hostnames: ["k.example.com"], rules: [{backendRefs: [{name: "far", namespace: "kindsfar", port: 80}]}]}`, "", 1, 0, 1},
	{"route", "gateway.networking.k8s.io/v1beta1 ReferenceGrant", `{from: [{group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "kinds"}], to: [{group: "", kind: "Service"}]}`, "", 1, 0, 1},
	{"policy", "security.istio.io/v1 PeerAuthentication", `mtls: mode: "STRICT"`, `mtls: mode: "DISABLE"`, 2, 2, 2},
	{"policy", "security.istio.io/v1 RequestAuthentication", `jwtRules: [{issuer: "one.example.com", jwks: "{\"keys\":[]}"}]`, `jwtRules: [{issuer: "two.example.com", jwks: "{\"keys\":[]}"}]`, 3, 3, 3},
	{"listener", "telemetry.istio.io/v1 Telemetry", strings.ReplaceAll(accessLog, "CODE", "400"), strings.ReplaceAll(accessLog, "CODE", "500"), 3, 3, 3},
	{"listener", "networking.istio.io/v1alpha3 EnvoyFilter", strings.ReplaceAll(listenerFilter, "GENERATION", "g1"), strings.ReplaceAll(listenerFilter, "GENERATION", "g2"), 2, 2, 2},
	{"listener", "extensions.istio.io/v1alpha1 WasmPlugin", `url: "http://wasm.example.com/one.wasm"`, `url: "http://wasm.example.com/two.wasm"`, 3, 3, 3},
	{"cluster", "networking.istio.io/v1 Sidecar", `egress: [{hosts: ["./*", "istio-system/*"]}]`, `egress: [{hosts: ["./*"]}]`, 2, 2, 2},
	{"cluster", "v1 Service", `{selector: app: "web-0", ports: [{name: "http", port: 9000}]}`, `{selector: app: "web-0", ports: [{name: "http", port: 9000}, {name: "http-more", port: 9001}]}`, 5, 5, 5},
	{"cluster", "networking.istio.io/v1 ServiceEntry", "{" + strings.ReplaceAll(fixedEntry, "ADDRESS", "100.64.0.1") + "}", "{" + strings.ReplaceAll(fixedEntry, "ADDRESS", "100.64.0.2") + "}", 5, 4, 5},
	{"listener", "networking.istio.io/v1beta1 ProxyConfig", `concurrency: 3`, "", 0, 0, 0},
}

// namespace is where the object is.
func (f followed) namespace() string {
	if strings.HasSuffix(f.kind, "ReferenceGrant") {
		return "kindsfar"
	}
	return "kinds"
}

// kindsScenario writes, changes and removes one object after the other, and waits each time for so many proxies to hold it
// as it concerns, all others synced (the gateway lacks a certificate): were it fewer it would wait in vain, and more would show at the next wait for its kind of change.
func kindsScenario(all []followed) string {
	var phases strings.Builder
	pairs := map[string]int{}
	step := func(f followed, action string, n int) {
		pairs[f.change] += n
		fmt.Fprintf(&phases, "\t\t%s\n\t\t{action: \"wait\", until: \"xds.synced >= 5 && changes.pending == 0 && changes.%s.pairs == %d\", timeout: \"30s\"},\n", action, f.change, pairs[f.change])
	}
	write := func(f followed, spec string, n int) {
		version, kind, _ := strings.Cut(f.kind, " ")
		step(f, fmt.Sprintf(`{action: "apply", scope: "cluster", objects: [{apiVersion: %q, kind: %q, metadata: {name: "x", namespace: %q}, spec: %s}]},`,
			version, kind, f.namespace(), spec), n)
	}
	for _, f := range all {
		write(f, f.spec, f.created)
		if f.update != "" {
			write(f, f.update, f.updated)
		}
	}
	for i := range all {
		f := all[len(all)-1-i]
		version, kind, _ := strings.Cut(f.kind, " ")
		step(f, fmt.Sprintf(`{action: "delete", objects: [{apiVersion: %q, kind: %q, name: "x", namespace: %q}]},`, version, kind, f.namespace()), f.removed)
	}
	return phases.String()
}

// TestEveryKindConverges follows objects that resources do not name.
func TestEveryKindConverges(t *testing.T) {
	box := sharedSandbox(t)
	r := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "kinds"
phases: [
	{name: "mesh", steps: [
		{action: "createNodes", count: 1, ztunnel: true},
		{action: "createNamespaces", count: 1, name: "kinds", apps: [{name: "edge", type: "gateway"}, {name: "web", type: "sidecar", inject: "none", replicas: 2}]},
		{action: "createNamespaces", count: 1, name: "kindsfar", waypoint: "waypoint", apps: [
			{name: "waypoint", type: "waypoint"}, {name: "far", type: "sidecar", inject: "none"}]},
		{action: "wait", until: "xds.desired == 6 && xds.synced == 6 && pods.ready == pods.desired", timeout: "1m"},
	]},
	{name: "objects", steps: [
`+kindsScenario(allFollowed)+`
	]},
	// What is on its way ends with its namespace.
	{name: "end", steps: [
		{action: "apply", scope: "cluster", objects: [{apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: {name: "unseen", namespace: "kindsfar"}
			spec: {hosts: ["x.example.com"], gateways: ["kindsfar/none"], http: [{route: [{destination: host: "far"}]}]}}]},
		{action: "assert", expr: "changes.route.pending == 1"},
		{action: "delete", unit: "namespace", select: "ns.name == 'kindsfar'"},
		{action: "wait", until: "changes.pending == 0", timeout: "20s"},
	]},
]
thresholds: [
	{expr: "changes.policy.unobserved == 0 && changes.cluster.unobserved == 0"},
	{name: "those of the ProxyConfig", expr: "changes.listener.unobserved == 2"},
	{name: "the VirtualService that nobody serves", expr: "changes.route.unobserved == 1"},
	{expr: "changes.listener.p99 > duration('10ms') && changes.listener.max < duration('1m')"},
	{expr: "xds.nacks == 0"},
]
`)).report(t)
	if len(r.Thresholds) != 5 {
		t.Errorf("%d thresholds", len(r.Thresholds))
	}
	checkEmpty(t, box)
}
