package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// read reads a text and returns what was taken in and what was left out, a line each.
func read(t *testing.T, text string) (taken, left []string) {
	t.Helper()
	c, err := Read(t.Context(), strings.NewReader(text))
	if err != nil && !errors.Is(err, ErrNothing) {
		t.Fatal(err)
	}
	for _, i := range c.items {
		taken = append(taken, i.ref().String())
	}
	for _, l := range c.Left {
		left = append(left, l.String())
	}
	return taken, left
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The same three objects in every way that tools write them.
var writings = map[string]string{
	"documents": `# a comment
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: x}
spec: {ports: [{port: 80}]}
---
# nothing here
---
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
...
--- # the last
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: a, namespace: x}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
`,
	"list": `apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: a
    namespace: x
  spec:
    ports:
    - port: 80
- apiVersion: v1
  kind: Namespace
  metadata:
    annotations:
      text: |
        items:

        - not an item
        kind: neither
    name: x
- apiVersion: networking.istio.io/v1beta1
  kind: VirtualService
  metadata:
    name: a
    namespace: x
  spec:
    hosts:
    - a
    http:
    - route:
      - destination:
          host: a
kind: List
metadata:
  resourceVersion: ""
`,
	"indented list": `kind: List
apiVersion: v1
items: # all of them
  # the first
  - {apiVersion: v1, kind: Service, metadata: {name: a, namespace: x}, spec: {ports: [{port: 80}]}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
  -
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: a, namespace: x}
    spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
`,
	"json list": `{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "x"}, "spec": {"ports": [{"port": 80}]}},
  {"apiVersion": "v1", "kind": "NamespaceList", "items": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}]},
  {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a", "namespace": "x"}, "spec": {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}]}}
], "metadata": {"resourceVersion": ""}}`,
	"json objects": `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "x"}, "spec": {"ports": [{"port": 80}]}}
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
[{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a", "namespace": "x"}, "spec": {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}]}}]`,
}

func TestReadWritings(t *testing.T) {
	t.Parallel()
	want := []string{"Namespace x", "Service x/a", "VirtualService x/a"}
	for name, text := range writings {
		for how, text := range map[string]string{
			"plain": text, "packed": packed(t, text), "bom": "\xef\xbb\xbf" + text, "crlf": strings.ReplaceAll(text, "\n", "\r\n"),
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				taken, left := read(t, text)
				if diff := cmp.Diff(want, taken); diff != "" {
					t.Errorf("taken in:\n%s", diff)
				}
				if len(left) > 0 {
					t.Errorf("left out: %q", left)
				}
			})
		}
	}
}

// TestBlockScalarsStayWhole: a text within an object that looks like a list does not take it apart.
func TestBlockScalarsStayWhole(t *testing.T) {
	t.Parallel()
	c, err := Read(t.Context(), strings.NewReader(writings["list"]))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.items[0].object.GetAnnotations()["text"]; got != "items:\n\n- not an item\nkind: neither\n" {
		t.Errorf("%q", got)
	}
}

// TestVersions: what is read in an old version is written in the one that Istio stores.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1", "v1beta1", "v1alpha3"} {
		c, err := Read(t.Context(), strings.NewReader("{apiVersion: networking.istio.io/"+version+", kind: DestinationRule, metadata: {name: a}, spec: {host: a}}"))
		if err != nil {
			t.Fatal(err)
		}
		o := c.items[0].object.(*unstructured.Unstructured)
		if o.GetAPIVersion() != "networking.istio.io/v1" || o.GetNamespace() != "default" {
			t.Errorf("%s: %v", version, o.Object)
		}
	}
}

// TestLeftOut: each of these is left out for its reason, and takes nothing with it.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	const good = "apiVersion: v1\nkind: Namespace\nmetadata: {name: good}\n---\n"
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d]\n", i+1, i+1, i)
	}
	for text, reason := range map[string]string{
		"apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: x}":                                                  "would have the api-server ask others",
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}":                                                              "would change what the api-server serves",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: x}":                                                               "would give rights away",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}":                                                                                            "its pods are",
		"apiVersion: rbac.istio.io/v1alpha1\nkind: ServiceRole\nmetadata: {name: x}":                                                                            "Istio reads no more",
		"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: x}":                                                                                         "is of a kind that Istio does not read",
		"apiVersion: v1\nkind: Service\nmetadata: {name: ../../etc/passwd}":                                                                                     "not a valid name",
		"apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: ../kube-system}":                                                                         "not a valid namespace",
		"apiVersion: v1\nkind: Service\nmetadata: {name: x, labels: {'a b': c}}":                                                                                "not a valid label key",
		"apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: nonsense}":                                                                           "cannot be decoded",
		"apiVersion: v1\nkind: Service\nmetadata: {}":                                                                                                           "name",
		"apiVersion: v1\nkind: Service\nmetadata: {name: x, deletionTimestamp: '2026-01-01T00:00:00Z'}":                                                         "was being deleted",
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {hots: [a]}":                                                      `unknown field "hots"`,
		"apiVersion: networking.istio.io/v1alpha1\nkind: VirtualService\nmetadata: {name: x}":                                                                   "is of version v1alpha1",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: x, labels: {istio/multiCluster: 'true'}}\ndata: {cacert: eA==}":                                         "connect to another cluster",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ntype: kubernetes.io/service-account-token":                                                          "which istiod does not read",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {password: eA==}":                                                                             "no certificate",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}]}":                                                             "has no address yet",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}]}\nstatus: {podIP: 'fd00::1'}":                                 "has no IPv4 address",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}]}\nstatus: {phase: Succeeded}":                                 "has ended",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {nodeName: ../x, containers: [{name: a, image: b}]}\nstatus: {podIP: 10.1.1.1}":                  "nodeName",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b, ports: [{containerPort: 99999}]}]}\nstatus: {podIP: 10.1.1.1}": "port that is none",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: A B, image: b}]}\nstatus: {podIP: 10.1.1.1}":                                "without a name",
		"kind: Service\nmetadata: {name: x}":                                                                                                                    "no apiVersion or no kind",
		"just a text":                                                                                                                                           "is no object",
		"a: [":                                                                                                                                                  "is not YAML",
		"apiVersion: &a [*a]":                                                                                                                                   "levels deep",
		"a: &x\n  b: *x":                                                                                                                                        "levels deep",
		"a: 1\na: 2":                                                                                                                                            "twice",
		"? [a, b]\n: c":                                                                                                                                         "plain text",
		"a: .nan":                                                                                                                                               "no type for",
		strings.Repeat("[", 200) + strings.Repeat("]", 200):                                                                                                     "levels deep",
		bomb: "values",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: '" + strings.Repeat("x", maxObjectBytes) + "'}": "larger than",
	} {
		taken, left := read(t, good+text)
		if len(taken) != 1 || taken[0] != "Namespace good" {
			t.Errorf("%.80q: taken in %q", text, taken)
		}
		if len(left) != 1 || !strings.Contains(left[0], reason) {
			t.Errorf("%.80q: left out %q, want %q", text, left, reason)
		}
	}
}

// TestLineNumbers: what is left out is found by its line, in a document and in an item of a List.
func TestLineNumbers(t *testing.T) {
	t.Parallel()
	_, left := read(t, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: b}\n\n- kind: c\n")
	want := []string{"Deployment b (line 7): is nothing to istiod: its pods are", "c (line 11): has no apiVersion or no kind"}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error(diff)
	}
}

// TestTwice: of two versions of one object the first counts.
func TestTwice(t *testing.T) {
	t.Parallel()
	text := "{apiVersion: networking.istio.io/%s, kind: DestinationRule, metadata: {name: a, namespace: x}, spec: {host: a}}\n---\n"
	taken, left := read(t, fmt.Sprintf(text+text, "v1", "v1beta1"))
	if len(taken) != 1 || len(left) != 1 || !strings.Contains(left[0], "is there already") {
		t.Errorf("taken in %q, left out %q", taken, left)
	}
}

// TestUnreadable: a file that is none of what is read says so, instead of giving an empty mesh.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                  "no object",
		"{\"apiVersion\": ": "is not JSON",
		"{\"items\": [1, 2": "is not JSON",
		"\x1f\x8bnot gzip":  "unpack",
		"a: \x00":           "is not text",
		"a: \xff\xfe":       "is not text",
		packed(t, strings.Repeat("a", 99999))[:40]: "unexpected EOF",
	} {
		if _, err := Read(t.Context(), strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// endless is a text without an end.
type endless struct{ line string }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.line), nil }

// TestEndless: a file without an end is given up, whatever it repeats.
func TestEndless(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"#\n", "x", "- a\n"} {
		most := limits{bytes: 8 << 20, objects: 1000, values: 1_000_000}
		if _, err := readWithin(t.Context(), endless{strings.Repeat(line, 4096)}, most); !errors.Is(err, errTooLong) && !errors.Is(err, errTooMany) {
			t.Errorf("%q: %v", line, err)
		}
	}
	bombs := endless{strings.Repeat("--- &a [[&b [x, x, x, x], *b, *b, *b, *b, *b, *b, *b], *b, *b, *b]\n", 100)}
	if _, err := readWithin(t.Context(), bombs, limits{bytes: 8 << 20, objects: 100_000, values: 10_000}); !errors.Is(err, errTooMuch) {
		t.Errorf("bombs: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := Read(ctx, endless{"x"}); !errors.Is(err, enough) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range writings {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Read(t.Context(), bytes.NewReader(text))
		if err != nil {
			return
		}
		if _, err := c.Fit(Options{Cluster: "sandbox"}); err != nil {
			t.Error(err)
		}
		var out bytes.Buffer
		if err := c.Write(&out); err != nil {
			t.Error(err)
		}
	})
}
