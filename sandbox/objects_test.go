package sandbox

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const renderedForTest = `[
 {"kind": "ConfigMap", "metadata": {"name": "istio"}},
 {"kind": "DaemonSet", "metadata": {"name": "ztunnel"}},
 {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "istiod"}},
 {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "injector"},
  "webhooks": [{"clientConfig": {"url": "https://istiod.invalid/inject"}}, {"clientConfig": {"url": "https://elsewhere.example/x"}}]},
 {"kind": "Deployment", "metadata": {"name": "istiod"}, "spec": {"template": {"spec": {"containers": [{
   "args": ["discovery", "--monitoringAddr=:15014", "--keepaliveMaxServerConnectionAge", "30m"],
   "env": [
     {"name": "PILOT_TRACE_SAMPLING", "value": "1"},
     {"name": "KUBECONFIG", "value": "/var/run/secrets/remote/config"},
     {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
     {"name": "GOMAXPROCS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
   ]}]}}}}
]`

func parsedForTest(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := parseObjects([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestSortRendered(t *testing.T) {
	t.Parallel()
	r, err := sortRendered(parsedForTest(t, renderedForTest), 21001)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, object := range r.apply {
		kinds = append(kinds, object.GetKind())
	}
	if !slices.Equal(kinds, []string{"ConfigMap", "MutatingWebhookConfiguration"}) {
		t.Errorf("to be applied: %v", kinds)
	}
	webhooks, _, err := unstructured.NestedSlice(r.apply[1].Object, "webhooks")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"https://localhost:21001/inject", "https://elsewhere.example/x"} {
		if got, _, _ := unstructured.NestedString(webhooks[i].(map[string]any), "clientConfig", "url"); got != want {
			t.Errorf("URL of webhook %d = %q, want %q", i, got, want)
		}
	}
}

func TestSortRenderedRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no istiod":       `[{"kind": "ConfigMap"}]`,
		"service webhook": `[{"kind": "W", "webhooks": [{"clientConfig": {"service": {"name": "istiod"}}}]}]`,
		"odd webhook":     `[{"kind": "W", "webhooks": ["what"]}]`,
		"bad URL":         `[{"kind": "W", "webhooks": [{"clientConfig": {"url": "https://a b:c/"}}]}]`,
	} {
		if _, err := sortRendered(parsedForTest(t, text), 21001); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := parseObjects([]byte("kind: YAML")); err == nil {
		t.Error("no error for what is not JSON")
	}
}

func TestIstiodRunsAsItsChartSaysButForAddressesAndTheUser(t *testing.T) {
	t.Parallel()
	r, err := sortRendered(parsedForTest(t, renderedForTest), 21001)
	if err != nil {
		t.Fatal(err)
	}
	info := Info{Dir: "/s", Ports: Ports{IstiodPorts: IstiodPorts{XDS: 21002, Monitoring: 21003}, Replicas: []IstiodPorts{{XDS: 21004}}}}
	specs, err := info.istiodSpecs("/bin/istiod", r.istiod, map[string]string{"PILOT_TRACE_SAMPLING": "7", "POD_NAME": "mine", "NEW": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 2 || specs[0].Name != "istiod" || specs[1].Name != "istiod-1" {
		t.Fatalf("specs: %+v, want two istiods", specs)
	}
	if first, second := strings.Join(specs[0].Args, " "), strings.Join(specs[1].Args, " "); strings.Contains(first, ":21004") || !strings.Contains(second, "--grpcAddr=127.0.0.1:21004") {
		t.Errorf("the second istiod's port:\n%s\n%s", first, second)
	}
	spec := specs[0]
	args := strings.Join(spec.Args, " ")
	for _, want := range []string{"discovery --keepaliveMaxServerConnectionAge 30m ", "--grpcAddr=127.0.0.1:21002", "--monitoringAddr=127.0.0.1:21003", "--kubeconfig=/s/istiod.kubeconfig"} {
		if !strings.Contains(args, want) {
			t.Errorf("arguments lack %q: %s", want, args)
		}
	}
	if strings.Contains(args, "15014") {
		t.Errorf("the chart's own address is left: %s", args)
	}
	for _, want := range []string{"PILOT_TRACE_SAMPLING=7", "POD_NAME=mine", "NEW=x", "POD_NAMESPACE=istio-system", "ISTIOD_CUSTOM_HOST=localhost"} {
		if !slices.Contains(spec.Env, want) {
			t.Errorf("environment lacks %s: %v", want, spec.Env)
		}
	}
	for _, variable := range spec.Env {
		if strings.HasPrefix(variable, "KUBECONFIG=") || strings.HasPrefix(variable, "GOMAXPROCS=") {
			t.Errorf("environment has %s", variable)
		}
	}
}

func TestIstiodSpecNeedsTheChartsContainer(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[{"kind": "Deployment"}]`,
		`[{"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{}, {}]}}}}]`,
		`[{"kind": "Deployment", "spec": {"template": {"spec": {"containers": ["odd"]}}}}]`,
		`[{"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"args": 3}]}}}}]`,
	} {
		if _, err := (Info{}).istiodSpecs("/bin/istiod", parsedForTest(t, text)[0], nil); err == nil {
			t.Errorf("no error for %s", text)
		}
	}
}
