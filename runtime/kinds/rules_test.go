package kinds

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
)

func TestAcceptedSpellings(t *testing.T) {
	t.Parallel()
	valid := samples(t)
	for _, tc := range []struct {
		kind, path string
		value      any
	}{
		{"DestinationRule", "spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize", int64(2048)},
		{"VirtualService", "status", map[string]any{"observedGeneration": "7"}},
		{"VirtualService", "spec.http[0].timeout", "90s"},
		{"VirtualService", "spec.http[0].timeout", nil},
		{"VirtualService", "spec.http[0].route[0].weight", float64(90)},
		{"VirtualService", "spec.http[0].route[0].weight", 90},
		{"VirtualService", "spec.http[0].route[0].weight", uint8(90)},
		{"VirtualService", "spec.http[0].fault.delay.percentage.value", int64(1)},
		{"VirtualService", "status", map[string]any{"conditions": []any{map[string]any{"type": "Ready", "lastTransitionTime": "2026-01-31T15:04:05Z"}}}},
		{"Pod", "spec.containers[0].resources.limits.cpu", 0.5},
		{"Service", "spec.ports[0].targetPort", int64(8080)},
		{"EnvoyFilter", "spec.configPatches[0].patch.value.anything", []any{nil, true}},
	} {
		obj := clone(t, valid[tc.kind])
		set(t, obj, tc.path, tc.value)
		if got := Check(obj); got != nil {
			t.Errorf("%s: %s: %v: %+v", tc.kind, tc.path, tc.value, got)
		}
	}
}

func TestFieldsThatExclude(t *testing.T) {
	t.Parallel()
	valid := samples(t)
	for _, tc := range []struct {
		kind, path string
		value      any
		want       Problem
	}{
		{"VirtualService", "spec.http[0].match[0].uri.exact", "/", Problem{Code: ir.CodeRule, Path: "spec.http[0].match[0].uri", Message: `only one of "exact", "prefix" can be set`}},
		{"DestinationRule", "spec.trafficPolicy.loadBalancer.simple", "RANDOM", Problem{Code: ir.CodeRule, Path: "spec.trafficPolicy.loadBalancer", Message: `only one of "consistentHash", "simple" can be set`}},
		{"DestinationRule", "spec.traffic_policy", map[string]any{}, Problem{Code: ir.CodeUnknownField, Path: "spec.traffic_policy", Message: `unknown field "traffic_policy"`, Suggestion: "trafficPolicy"}},
	} {
		obj := clone(t, valid[tc.kind])
		set(t, obj, tc.path, tc.value)
		if diff := cmp.Diff([]Problem{tc.want}, Check(obj)); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", tc.kind, tc.path, diff)
		}
	}
	obj := clone(t, valid["VirtualService"])
	set(t, obj, "spec.http[0].match[0].uri.exact", nil) // null is not set
	if got := Check(obj); got != nil {
		t.Errorf("a null member of a oneof: %+v", got)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	obj := clone(t, samples(t)["VirtualService"])
	rename(t, obj, "spec.http[0].route[1].weight", "wieght")
	rename(t, obj, "spec.gateways", "gateway")
	set(t, obj, "spec.http[0].route[0].weight", "90")
	set(t, obj, "spec.hosts[0]", int64(1))
	set(t, obj, "metadata.name", "Reviews")
	set(t, obj, "metadata.lables", map[string]any{})
	var paths []string
	for _, p := range Check(obj) {
		paths = append(paths, p.Path)
	}
	want := []string{"metadata.lables", "metadata.name", "spec.gateway", "spec.hosts[0]", "spec.http[0].route[0].weight", "spec.http[0].route[1].wieght"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestKindThatIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		apiVersion, kind string
		want             *Problem
	}{
		{"networking.istio.io/v1", "VirtualServce", &Problem{ir.CodeValue, "kind", `networking.istio.io/v1 has no kind "VirtualServce"`, "VirtualService"}},
		{"networking.istio.io/v1", "virtualservice", &Problem{ir.CodeValue, "kind", `networking.istio.io/v1 has no kind "virtualservice"`, "VirtualService"}},
		{"networking.istio.io/v1", "VirtualServiceList", &Problem{ir.CodeValue, "kind", `networking.istio.io/v1 has no kind "VirtualServiceList"`, "VirtualService"}},
		{"networking.istio.io/v1", "Something", &Problem{ir.CodeValue, "kind", `networking.istio.io/v1 has no kind "Something"`, ""}},
		{"networking.istio.io/v1", "EnvoyFilters", &Problem{ir.CodeValue, "kind", `networking.istio.io/v1 has no kind "EnvoyFilters"`, "EnvoyFilter"}},
		{"networking.istio.io/v1", "EnvoyFilter", &Problem{ir.CodeValue, "apiVersion", `networking.istio.io/v1 has no kind "EnvoyFilter"`, "networking.istio.io/v1alpha3"}},
		{"networking.istio.io/v2", "VirtualService", &Problem{ir.CodeValue, "apiVersion", `unknown apiVersion "networking.istio.io/v2"`, "networking.istio.io/v1"}},
		{"networking.itsio.io/v1beta1", "VirtualService", &Problem{ir.CodeValue, "apiVersion", `unknown apiVersion "networking.itsio.io/v1beta1"`, "networking.istio.io/v1beta1"}},
		{"networking.itsio.io/v7", "VirtualService", &Problem{ir.CodeValue, "apiVersion", `unknown apiVersion "networking.itsio.io/v7"`, "networking.istio.io/v1"}},
		{"networking.istio.io", "VirtualService", &Problem{ir.CodeValue, "apiVersion", `unknown apiVersion "networking.istio.io"`, "networking.istio.io/v1"}},
		{"security.istio.io/v1", "VirtualService", &Problem{ir.CodeValue, "apiVersion", `security.istio.io/v1 has no kind "VirtualService"`, "networking.istio.io/v1"}},
		{"v1", "Deployment", &Problem{ir.CodeValue, "apiVersion", `v1 has no kind "Deployment"`, "apps/v1"}},
		{"apps/v1", "Pod", &Problem{ir.CodeValue, "apiVersion", `apps/v1 has no kind "Pod"`, "v1"}},
		{"v1", "Gateway", &Problem{ir.CodeValue, "apiVersion", `v1 has no kind "Gateway"; there is one in gateway.networking.k8s.io/v1 and in networking.istio.io/v1`, ""}},
		{"v2", "Pod", &Problem{ir.CodeValue, "apiVersion", `unknown apiVersion "v2"`, "v1"}},
		{"V1", "Pod", &Problem{ir.CodeValue, "apiVersion", `unknown apiVersion "V1"`, "v1"}},
		{"core/v1", "Pod", nil},
		{"networking.k8s.io/v1", "HTTPRoute", &Problem{ir.CodeValue, "apiVersion", `networking.k8s.io/v1 has no kind "HTTPRoute"`, "gateway.networking.k8s.io/v1"}},
		{"v1", "DeleteOptions", &Problem{ir.CodeValue, "kind", `v1 has no kind "DeleteOptions"`, ""}},
		{"a/b/c", "Pod", &Problem{ir.CodeValue, "apiVersion", `"a/b/c" is not an apiVersion: want a version or group/version, like "v1" or "apps/v1"`, ""}},
		{"networking.gke.io/v1", "ManagedCertificate", nil},
		{"networking.gke.io/v1", "Gateway", nil},
		{"serving.knative.dev/v1", "Service", nil},
		{"example.com/v1", "Widget", nil},
		{"apiextensions.k8s.io/v1", "CustomResourceDefinition", nil},
		{"gateway.networking.x-k8s.io/v1alpha1", "XMesh", nil},
	} {
		got := Check(map[string]any{"apiVersion": tc.apiVersion, "kind": tc.kind, "metadata": map[string]any{"name": "a"}})
		near := Near(tc.apiVersion, tc.kind)
		if tc.want == nil {
			if got != nil || near != "" {
				t.Errorf("%s %s: got %+v, near %q, want no problem", tc.apiVersion, tc.kind, got, near)
			}
			continue
		}
		if diff := cmp.Diff([]Problem{*tc.want}, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tc.apiVersion, tc.kind, diff)
		}
		if Known(tc.apiVersion, tc.kind) || near != tc.want.Suggestion {
			t.Errorf("%s %s: known or near %q, want %q", tc.apiVersion, tc.kind, near, tc.want.Suggestion)
		}
	}
}

func TestTwoMistakesInWhatKindItIs(t *testing.T) {
	t.Parallel()
	got := Check(map[string]any{"apiVersion": "networking.istio.io/v2", "kind": "VirtualServce", "metadata": map[string]any{"name": "a"}})
	want := []Problem{
		{ir.CodeValue, "apiVersion", `unknown apiVersion "networking.istio.io/v2"`, "networking.istio.io/v1"},
		{ir.CodeValue, "kind", `group "networking.istio.io" has no kind "VirtualServce"`, "VirtualService"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	const subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
	const label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
	for _, tc := range []struct {
		apiVersion, kind string
		metadata         any
		want             []Problem
	}{
		{"v1", "ConfigMap", map[string]any{"name": "a.b-c"}, nil},
		{"v1", "ConfigMap", map[string]any{"generateName": "a-"}, nil},
		{"v1", "ConfigMap", map[string]any{"name": "My_Map"}, []Problem{{ir.CodeValue, "metadata.name", `"My_Map" is not a valid name: ` + subdomain, "my-map"}}},
		{"v1", "ConfigMap", map[string]any{"name": strings.Repeat("a", 254)}, []Problem{{ir.CodeValue, "metadata.name", `"` + strings.Repeat("a", 60) + `"... is not a valid name: must be no more than 253 characters`, ""}}},
		{"v1", "Namespace", map[string]any{"name": "a.b"}, []Problem{{ir.CodeValue, "metadata.name", `"a.b" is not a valid name: must not contain dots`, ""}}},
		{"v1", "Service", map[string]any{"name": "9-lives"}, nil},
		{"rbac.authorization.k8s.io/v1", "ClusterRole", map[string]any{"name": "system:node"}, nil},
		{"rbac.authorization.k8s.io/v1", "ClusterRole", map[string]any{"name": "a/b"}, []Problem{{ir.CodeValue, "metadata.name", `"a/b" is not a valid name: may not contain '/'`, ""}}},
		{"example.com/v1", "Widget", map[string]any{"name": "-w", "lables": map[string]any{}}, []Problem{
			{ir.CodeUnknownField, "metadata.lables", `unknown field "lables"`, "labels"}, {ir.CodeValue, "metadata.name", `"-w" is not a valid name: ` + subdomain, ""}}},
		{"v1", "Pod", map[string]any{"name": "a", "namespace": "Shop"}, []Problem{{ir.CodeValue, "metadata.namespace", `"Shop" is not a valid namespace: ` + label, "shop"}}},
		{"v1", "Pod", map[string]any{"name": int64(1)}, []Problem{{ir.CodeType, "metadata.name", "want a string, got an int", ""}}},
		{"v1", "Pod", map[string]any{}, []Problem{{ir.CodeMissingField, "metadata.name", `required field "name" is missing`, ""}}},
		{"v1", "Pod", nil, []Problem{{ir.CodeMissingField, "metadata", `required field "metadata" is missing`, ""}}},
		{"v1", "Pod", "a", []Problem{{ir.CodeType, "metadata", "want a struct, got a string", ""}}},
		{"v1", "Pod", map[string]any{"name": "a", "labels": map[string]any{"a b": "c", "ok": "A b"}, "annotations": map[string]any{"Up.Example/Case": "any thing"}}, []Problem{
			{ir.CodeValue, "metadata.labels.ok", `"A b" is not a valid label value: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`, "A-b"},
			{ir.CodeValue, `metadata.labels["a b"]`, `"a b" is not a valid label key: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`, "a-b"}}},
	} {
		obj := map[string]any{"apiVersion": tc.apiVersion, "kind": tc.kind, "metadata": tc.metadata}
		if diff := cmp.Diff(tc.want, Check(obj)); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", tc.kind, tc.metadata, diff)
		}
	}
}

func TestObjectWithoutKind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		obj  map[string]any
		want []Problem
	}{
		{nil, []Problem{{ir.CodeMissingField, "apiVersion", `required field "apiVersion" is missing`, ""}, {ir.CodeMissingField, "kind", `required field "kind" is missing`, ""}, {ir.CodeMissingField, "metadata", `required field "metadata" is missing`, ""}}},
		{map[string]any{"apiversion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "a"}}, []Problem{{ir.CodeUnknownField, "apiversion", `unknown field "apiversion"`, "apiVersion"}}},
		{map[string]any{"apiVersion": 1, "kind": "", "metadata": map[string]any{"name": "a"}}, []Problem{{ir.CodeType, "apiVersion", "want a string, got an int", ""}, {ir.CodeValue, "kind", "must not be empty", ""}}},
	} {
		if diff := cmp.Diff(tc.want, Check(tc.obj)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.obj, diff)
		}
	}
}

func TestHostileObjects(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["a"], cycle["b"] = cycle, cycle
	deep := any("x")
	for range maxDepth + 5 {
		deep = map[string]any{"d": deep}
	}
	wide, many := make([]any, maxValues+1), map[string]any{}
	for i := range 5000 {
		many[fmt.Sprintf("hosts%d", i)] = i
	}
	with := func(spec any) map[string]any {
		return map[string]any{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "a"}, "spec": spec}
	}
	for name, tc := range map[string]struct {
		obj  map[string]any
		want string
	}{
		"cycle":     {cycle, "nested more than 100 levels deep"},
		"deep":      {with(deep), "nested more than 100 levels deep"},
		"wide":      {with(wide), "the object has more than 100000 values"},
		"large":     {with(strings.Repeat("x", maxBytes+1)), "the object is larger than the 3 MiB that an api-server accepts"},
		"large key": {with(map[string]any{strings.Repeat("x", maxBytes+1): 1}), "the object is larger than the 3 MiB that an api-server accepts"},
		"go value":  {with(make(chan int)), "want a struct, got a chan int"},
		"NaN": {map[string]any{"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": map[string]any{"name": "a"},
			"spec": map[string]any{"configPatches": []any{map[string]any{"patch": map[string]any{"value": map[string]any{"n": math.NaN()}}}}}}, "cannot be written as JSON: json: unsupported value: NaN"},
	} {
		got := Check(tc.obj)
		if len(got) != 1 || got[0].Message != tc.want {
			t.Errorf("%s: got %+v, want %q", name, got, tc.want)
		}
	}
	if got := Check(with(many)); len(got) != maxProblems || got[0].Suggestion != "hosts" {
		t.Errorf("5000 unknown fields: got %d problems, the first %+v", len(got), got[:min(1, len(got))])
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value    any
		bits     int
		signed   bool
		accepted bool
	}{
		{int64(math.MinInt64), 64, true, true}, {int64(math.MaxInt64), 64, true, true}, {uint64(math.MaxUint64), 64, true, false},
		{uint64(math.MaxUint64), 64, false, true}, {float64(1 << 63), 64, true, false}, {-float64(1 << 63), 64, true, true},
		{int64(math.MinInt32), 32, true, true}, {int64(math.MinInt32) - 1, 32, true, false}, {int64(math.MaxInt32) + 1, 32, true, false},
		{int64(math.MaxUint32), 32, false, true}, {int64(math.MaxUint32) + 1, 32, false, false}, {int64(-1), 32, false, false},
		{math.Copysign(0, -1), 32, false, true}, {math.Inf(1), 64, true, false}, {math.NaN(), 64, true, false}, {1e300, 64, false, false},
		{float32(3), 8, true, true}, {uint16(256), 8, false, false}, {nil, 32, true, false}, {true, 32, true, false},
	} {
		c := &checker{}
		if c.integer(tc.value, "p", tc.bits, tc.signed); (len(c.found) == 0) != tc.accepted {
			t.Errorf("%v as %d bits, signed %v: accepted %v", tc.value, tc.bits, tc.signed, !tc.accepted)
		}
	}
}

// TestForeignGroups: a group of somebody else's that was taken for a misspelling would be refused.
func TestForeignGroups(t *testing.T) {
	t.Parallel()
	cat, err := known()
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"networking.gke.io", "networking.gloo.solo.io", "gateway.solo.io", "security.openshift.io", "apps.openshift.io", "batch.volcano.sh", "policy.linkerd.io"} {
		for group := range cat.groups {
			if nearGroup(foreign, group) {
				t.Errorf("%s is taken for %s", foreign, group)
			}
		}
	}
}
