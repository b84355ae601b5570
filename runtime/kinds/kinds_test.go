package kinds

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
)

func TestValidSamples(t *testing.T) {
	t.Parallel()
	for name, obj := range samples(t) {
		for _, p := range Check(obj) {
			t.Errorf("%s: unexpected problem: %+v", name, p)
		}
		if !Known(obj["apiVersion"].(string), obj["kind"].(string)) {
			t.Errorf("%s is not known", name)
		}
	}
}

// misspelled are fields of the samples and a wrong name each; the right one has to be suggested.
var misspelled = map[string][][2]string{
	"VirtualService": {{"spec", "spce"}, {"spec.http", "htp"}, {"spec.http[0].route[1].weight", "wieght"}, {"spec.http[0].match[0].headers[\"x-user\"].exact", "exakt"},
		{"spec.http[0].fault.delay.percentage.value", "vaule"}, {"metadata.labels", "label"}, {"spec.hosts", "host"}},
	"DestinationRule":       {{"spec.trafficPolicy", "traficPolicy"}, {"spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize", "minRingSize"}, {"spec.subsets[0].labels", "lables"}},
	"Gateway":               {{"spec.servers", "server"}, {"spec.servers[0].port.number", "nubmer"}, {"spec.servers[0].tls.credentialName", "credentialsName"}},
	"ServiceEntry":          {{"spec.endpoints", "endpoint"}, {"spec.ports[0].targetPort", "target-port"}, {"spec.endpoints[0].address", "addrss"}},
	"Sidecar":               {{"spec.workloadSelector.labels", "matchLabels"}, {"spec.egress[0].hosts", "host"}, {"spec.outboundTrafficPolicy", "outboundTraficPolicy"}},
	"AuthorizationPolicy":   {{"spec.rules", "rule"}, {"spec.rules[0].to[0].operation.methods", "method"}, {"spec.rules[0].from[0].source.principals", "principal"}, {"spec.selector.matchLabels", "matchlabels"}},
	"PeerAuthentication":    {{"spec.mtls", "mTLS"}, {"spec.portLevelMtls[\"8080\"].mode", "mod"}, {"spec.selector", "selectors"}},
	"RequestAuthentication": {{"spec.jwtRules", "jwtRule"}, {"spec.jwtRules[0].jwksUri", "jwksURI"}, {"spec.jwtRules[0].fromHeaders[0].prefix", "prefx"}},
	"Telemetry":             {{"spec.tracing", "traces"}, {"spec.tracing[0].randomSamplingPercentage", "randomSampling"}, {"spec.tracing[0].customTags.env.literal", "litteral"}, {"spec.metrics[0].overrides[0].match.metric", "metrics"}},
	"EnvoyFilter":           {{"spec.configPatches", "configPatch"}, {"spec.configPatches[0].applyTo", "aplyTo"}, {"spec.configPatches[0].match.listener.filterChain.filter", "filters"}},
	"WorkloadEntry":         {{"spec.address", "addrss"}, {"spec.serviceAccount", "serviceAcount"}, {"metadata.name", "nme"}},
	"WorkloadGroup":         {{"spec.template", "templates"}, {"spec.probe.httpGet.port", "ports"}, {"spec.metadata.labels", "label"}},
	"WasmPlugin":            {{"spec.pluginConfig", "plugin_cfg"}, {"spec.match[0].ports[0].number", "num"}, {"spec.vmConfig.env[0].valueFrom", "valuefrom"}},
	"ProxyConfig":           {{"spec.concurrency", "concurency"}, {"spec.environmentVariables", "environmentVars"}, {"spec.image.imageType", "type"}},
	"HTTPRoute":             {{"spec.rules", "rule"}, {"spec.parentRefs[0].sectionName", "section"}, {"spec.rules[0].backendRefs[0].weight", "wieght"}, {"spec.rules[0].filters[0].requestHeaderModifier.set", "sets"}},
	"Gateway API Gateway":   {{"spec.gatewayClassName", "gatewayClass"}, {"spec.listeners[0].protocol", "protcol"}, {"spec.listeners[0].allowedRoutes.namespaces.selector.matchLabels", "matchLables"}},
	"Service":               {{"spec.ports[0].targetPort", "targetport"}, {"spec.clusterIP", "clusterIp"}, {"metadata", "metdata"}},
	"Pod":                   {{"spec.containers", "container"}, {"spec.containers[0].env[1].valueFrom.fieldRef.fieldPath", "fieldpath"}, {"spec.containers[0].resources.requests", "request"}, {"spec.containers[0].readinessProbe", "readynessProbe"}},
	"Secret":                {{"data", "dta"}, {"stringData", "stringdata"}, {"type", "tpye"}},
	"ConfigMap":             {{"binaryData", "binarydata"}, {"immutable", "imutable"}, {"metadata.name", "nam"}},
}

func TestMisspelled(t *testing.T) {
	t.Parallel()
	valid := samples(t)
	for kind := range valid {
		if len(misspelled[kind]) < 3 {
			t.Errorf("%s: fewer than three misspelled fields are tried", kind)
		}
	}
	tooFar := map[string]bool{"matchLabels": true, "randomSampling": true, "section": true, "num": true,
		"type": true, "traces": true}
	for kind, cases := range misspelled {
		for _, tc := range cases {
			path, typo := tc[0], tc[1]
			obj := clone(t, valid[kind])
			rename(t, obj, path, typo)
			parent, right := path, path
			if i := strings.LastIndexByte(path, '.'); i >= 0 {
				parent, right = path[:i], path[i+1:]
			} else {
				parent = ""
			}
			want := []Problem{{Code: ir.CodeUnknownField, Path: join(parent, typo), Message: `unknown field "` + typo + `"`, Suggestion: right}}
			if tooFar[typo] {
				want[0].Suggestion = ""
			}
			if diff := cmp.Diff(want, Check(obj)); diff != "" {
				t.Errorf("%s: %s written %q (-want +got):\n%s", kind, path, typo, diff)
			}
		}
	}
}

// mistyped are fields of the samples with a value that they do not take.
var mistyped = []struct {
	kind, path string
	value      any
	message    string // not compared if it is empty: long lists of names
	suggestion string
}{
	{kind: "VirtualService", path: "spec.http[0].route[0].destination.port.number", value: "80", message: "want an int, got a string"},
	{kind: "VirtualService", path: "spec.http[0].route[0].destination.port.number", value: int64(-1), message: "want an int between 0 and 4294967295, got -1"},
	{kind: "VirtualService", path: "spec.http[0].route[0].weight", value: 1.5, message: "want an int, got a float"},
	{kind: "VirtualService", path: "spec.http[0].route[0].weight", value: int64(1 << 31), message: "want an int between -2147483648 and 2147483647, got 2147483648"},
	{kind: "VirtualService", path: "spec.http[0].route[0].weight", value: 1e30, message: "want an int between -2147483648 and 2147483647, got 1e+30"},
	{kind: "VirtualService", path: "spec.http[0].timeout", value: "5 minutes", message: `want a duration like "1.5s" or "5m", got "5 minutes"`},
	{kind: "VirtualService", path: "spec.http[0].timeout", value: int64(5), message: `want a duration like "1.5s" or "5m", got an int`},
	{kind: "VirtualService", path: "spec.http[0].retries.retryRemoteLocalities", value: "yes", message: "want a bool, got a string"},
	{kind: "VirtualService", path: "spec.http[0].fault.delay.percentage.value", value: "50%", message: "want a number, got a string"},
	{kind: "VirtualService", path: "spec.http[0].match[0].uri", value: "/api", message: "want a struct, got a string"},
	{kind: "VirtualService", path: "spec.hosts", value: "reviews", message: "want a list, got a string"},
	{kind: "VirtualService", path: "spec.hosts[0]", value: int64(7), message: "want a string, got an int"},
	{kind: "VirtualService", path: "spec", value: []any{}, message: "want a struct, got a list"},
	{kind: "VirtualService", path: "metadata.labels", value: []any{"a"}, message: "want a struct, got a list"},
	{kind: "VirtualService", path: `metadata.labels["app.kubernetes.io/name"]`, value: true, message: "want a string, got a bool"},
	{kind: "DestinationRule", path: "spec.trafficPolicy.tls.mode", value: "ISTIO_MUTAL", message: `want one of "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL", got "ISTIO_MUTAL"`, suggestion: "ISTIO_MUTUAL"},
	{kind: "DestinationRule", path: "spec.trafficPolicy.tls.mode", value: "simple", message: `want one of "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL", got "simple"`, suggestion: "SIMPLE"},
	{kind: "DestinationRule", path: "spec.trafficPolicy.tls.mode", value: int64(1), message: `want one of "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL", got 1`},
	{kind: "DestinationRule", path: "spec.trafficPolicy.outlierDetection.consecutive5xxErrors", value: true, message: "want an int, got a bool"},
	{kind: "DestinationRule", path: "spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize", value: "many", message: "want an int, got a string"},
	{kind: "DestinationRule", path: "spec.subsets[0].labels.version", value: int64(1), message: "want a string, got an int"},
	{kind: "DestinationRule", path: "spec.trafficPolicy.portLevelSettings[0].loadBalancer.simple", value: "RANDOMLY", suggestion: "RANDOM"},
	{kind: "DestinationRule", path: "spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize", value: "2048", message: "want an int, got a string"},
	{kind: "Gateway", path: "spec.servers[0].port", value: int64(443), message: "want a struct, got an int"},
	{kind: "Gateway", path: "spec.selector", value: "ingress", message: "want a struct, got a string"},
	{kind: "Gateway", path: "spec.servers[0].tls.minProtocolVersion", value: "TLSv1.2", message: `want one of "TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3", got "TLSv1.2"`, suggestion: "TLSV1_2"},
	{kind: "ServiceEntry", path: "spec.endpoints[0].ports.tls", value: "8443", message: "want an int, got a string"},
	{kind: "ServiceEntry", path: "spec.location", value: "MESH", message: `want one of "MESH_EXTERNAL", "MESH_INTERNAL", got "MESH"`},
	{kind: "Sidecar", path: "spec.egress", value: map[string]any{}, message: "want a list, got a struct"},
	{kind: "AuthorizationPolicy", path: "spec.rules[0].to[0].operation.ports[0]", value: int64(8080), message: "want a string, got an int"},
	{kind: "AuthorizationPolicy", path: "spec.action", value: "PERMIT", message: `want one of "ALLOW", "DENY", "AUDIT", "CUSTOM", got "PERMIT"`},
	{kind: "PeerAuthentication", path: `spec.portLevelMtls["8080"]`, value: "DISABLE", message: "want a struct, got a string"},
	{kind: "PeerAuthentication", path: `spec.portLevelMtls.http`, value: map[string]any{"mode": "STRICT"}, message: `keys here are of type uint32, got "http"`},
	{kind: "RequestAuthentication", path: "spec.jwtRules[0].forwardOriginalToken", value: int64(1), message: "want a bool, got an int"},
	{kind: "Telemetry", path: "spec.tracing[0].randomSamplingPercentage", value: "12", message: "want a number, got a string"},
	{kind: "Telemetry", path: "spec.accessLogging[0].disabled", value: "no", message: "want a bool, got a string"},
	{kind: "EnvoyFilter", path: "spec.configPatches[0].patch.value", value: "name: lua", message: "want a struct, got a string"},
	{kind: "EnvoyFilter", path: "spec.configPatches[0].applyTo", value: "HTTP_FILTERS", suggestion: "HTTP_FILTER"},
	{kind: "WorkloadEntry", path: "spec.weight", value: 0.5, message: "want an int, got a float"},
	{kind: "WorkloadGroup", path: "spec.probe.periodSeconds", value: "5s", message: "want an int, got a string"},
	{kind: "WasmPlugin", path: "spec.priority", value: "high", message: "want an int, got a string"},
	{kind: "ProxyConfig", path: "spec.concurrency", value: "2", message: "want an int, got a string"},
	{kind: "HTTPRoute", path: "spec.rules[0].backendRefs[0].port", value: "80", message: "want an int, got a string"},
	{kind: "HTTPRoute", path: "spec.rules[0].matches", value: "all", message: "want a list, got a string"},
	{kind: "HTTPRoute", path: "spec.hostnames[0]", value: map[string]any{}, message: "want a string, got a struct"},
	{kind: "Gateway API Gateway", path: "spec.listeners[0].port", value: 1e10, message: "want an int between -2147483648 and 2147483647, got 1e+10"},
	{kind: "Gateway API Gateway", path: "spec.listeners[0].tls", value: true, message: "want a struct, got a bool"},
	{kind: "Service", path: "spec.ports[0].targetPort", value: true, message: "want an int or a string, got a bool"},
	{kind: "Service", path: "spec.ports[1].port", value: "http", message: "want an int, got a string"},
	{kind: "Pod", path: "spec.containers[0].resources.requests.cpu", value: "half", message: `want a quantity like "500m" or "1Gi", got "half"`},
	{kind: "Pod", path: "spec.containers[0].env[0].value", value: int64(1), message: "want a string, got an int"},
	{kind: "Pod", path: "spec.containers[0].securityContext.runAsNonRoot", value: "true", message: "want a bool, got a string"},
	{kind: "Pod", path: "metadata.creationTimestamp", value: "yesterday", message: `want a time like "2026-01-31T15:04:05Z", got "yesterday"`},
	{kind: "Secret", path: `data["tls.crt"]`, value: "-----BEGIN CERTIFICATE-----", message: `want base64 text, got "-----BEGIN CERTIFICATE-----"`},
	{kind: "Secret", path: `data["tls.crt"]`, value: int64(5), message: "want base64 text, got an int"},
	{kind: "ConfigMap", path: `data["mesh.yaml"]`, value: map[string]any{"a": "b"}, message: "want a string, got a struct"},
	{kind: "ConfigMap", path: "immutable", value: "yes", message: "want a bool, got a string"},
}

// ofType matches messages that speak of the type of a value, not of the value.
var ofType = regexp.MustCompile(`, got an? `)

func TestMistyped(t *testing.T) {
	t.Parallel()
	valid := samples(t)
	for _, tc := range mistyped {
		obj := clone(t, valid[tc.kind])
		set(t, obj, tc.path, tc.value)
		got := Check(obj)
		want := []Problem{{Code: ir.CodeValue, Path: tc.path, Message: tc.message, Suggestion: tc.suggestion}}
		if tc.message == "" && len(got) == 1 {
			want[0].Message = got[0].Message
		}
		if _, text := tc.value.(string); ofType.MatchString(tc.message) || !text && strings.HasPrefix(tc.message, "want one of") {
			want[0].Code = ir.CodeType
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s is %v (-want +got):\n%s", tc.kind, tc.path, tc.value, diff)
		}
	}
}
