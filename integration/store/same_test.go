package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
)

// everyType has all types of app, nodes with agents, and a namespace whose pods the webhook injects.
const everyType = `
	{name: "nodes", steps: [{action: "createNodes", count: 2, ztunnel: true}]},
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 2, name: "both", waypoint: "waypoint", apps: [
			{name: "waypoint", type: "waypoint", pods: 2},
			{name: "plain", type: "plain", replicas: 2, pods: 3, labels: {tier: "back"}},
			{name: "sidecar", type: "sidecar", pods: 2, serviceAccount: "own"},
			{name: "ambient", type: "ambient", pods: 101},
			{name: "gateway", type: "gateway", pods: 1},
		]},
		{action: "createNamespaces", count: 1, name: "injected", labels: {"istio-injection": "enabled"}, apps: [
			{name: "app", type: "plain", pods: 2}, // injectedPods
		]},
	]},
	{name: "settle", steps: [{action: "wait", until: "pods.ready == pods.desired && endpoints.ready == endpoints.desired && endpoints.ready >= pods.desired"}]}`

// injectedPods is how many pods of everyType istiod's webhook changes, so that they cannot go past it.
const injectedPods = 2

// TestBothBackendsLeaveTheSameObjects runs a scenario through the api-server and, once that is cleaned, past it, and
// compares every object of a built-in kind in every field but those that no two objects share.
func TestBothBackendsLeaveTheSameObjects(t *testing.T) {
	box, cfg := open(t)
	byAPI := objectsAfter(t, cfg, nil)
	byStore := objectsAfter(t, cfg, storeOf(box, true))
	for key := range byAPI {
		if _, ok := byStore[key]; !ok {
			t.Errorf("only the api backend leaves %s", key)
		}
	}
	for key, got := range byStore {
		want, ok := byAPI[key]
		if !ok {
			t.Errorf("only the store backend leaves %s", key)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-api +store):\n%s", key, diff)
		}
	}
	if injected := fmt.Sprint(byStore["pods injected/app-0-"+suffixOf(byStore, "pods injected/app-0-")]); !strings.Contains(injected, "istio-proxy") {
		t.Errorf("the pod was not injected: %s", injected)
	}
	if n := len(byAPI); n < 240 {
		t.Errorf("%d objects were compared: the scenario makes more", n)
	}
}

// suffixOf is how the key goes on that begins with prefix.
func suffixOf(m map[string]map[string]any, prefix string) string {
	for key := range m {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			return rest
		}
	}
	return ""
}

func objectsAfter(t *testing.T, cfg *rest.Config, store *apiwriter.Store) map[string]map[string]any {
	t.Helper()
	const id = "both-backends"
	defer clean(t, cfg, id)
	for _, row := range run(t, job{id: id, phases: everyType, store: store, rest: cfg}).stats.Rows {
		want := row.Done
		switch {
		case store == nil || row.Kind == "Gateway" || row.Verb != runtime.VerbCreate && row.Kind != "EndpointSlice":
			want = 0
		case row.Kind == "Pod":
			want -= injectedPods
		}
		if row.Stored != want {
			t.Errorf("%s %s: %d of %d went past the api-server, want %d", row.Verb, row.Kind, row.Stored, row.Done, want)
		}
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for _, gvr := range []schema.GroupVersionResource{
		{Version: "v1", Resource: "namespaces"}, {Version: "v1", Resource: "nodes"}, {Version: "v1", Resource: "pods"},
		{Version: "v1", Resource: "services"}, {Version: "v1", Resource: "serviceaccounts"},
		{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
		{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	} {
		list, err := client.Resource(gvr).List(t.Context(), metav1.ListOptions{LabelSelector: runtime.LabelRun + "=" + id})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			name := o.GetName()
			if o.GetKind() == "EndpointSlice" {
				name = o.GetLabels()["kubernetes.io/service-name"]
			}
			key := gvr.Resource + " " + o.GetNamespace() + "/" + name
			out[key] = merge(out[key], comparable(o))
		}
	}
	for _, a := range addresses(t, client) {
		ref, _, _ := unstructured.NestedStringMap(a.Object, "spec", "parentRef")
		a.SetName("")
		out["address of "+ref["namespace"]+"/"+ref["name"]] = comparable(&a)
	}
	return out
}

// addresses are the IPAddresses of the Services of a scenario.
func addresses(t *testing.T, client dynamic.Interface) []unstructured.Unstructured {
	t.Helper()
	list, err := client.Resource(schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ipaddresses"}).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(a unstructured.Unstructured) bool {
		ns, _, _ := unstructured.NestedString(a.Object, "spec", "parentRef", "namespace")
		return ns == metav1.NamespaceDefault || ns == "istio-system"
	})
}

// unique are the fields in which no two objects agree: identities, times, and the chosen address of a Service.
var unique = map[string]bool{
	"uid": true, "resourceVersion": true, "managedFields": true, "creationTimestamp": true, "startTime": true, "startedAt": true,
	"finishedAt": true, "lastTransitionTime": true, "lastHeartbeatTime": true, "renewTime": true, "clusterIP": true, "clusterIPs": true,
	"containerID": true, // holds the pod's uid
}

// comparable is the content of o with what is unique to it reduced to whether it is there.
func comparable(o *unstructured.Unstructured) map[string]any {
	switch o.GetKind() {
	case "EndpointSlice":
		o.SetName("")
		o.SetGeneration(0) // counts how many pods were seen at once
	case "Pod":
		if o.GetLabels()[runtime.LabelRole] == runtime.RoleNodeAgent { // written right after its node, whose labels the api-server may not know yet
			unstructured.RemoveNestedField(o.Object, "metadata", "labels", "topology.kubernetes.io/zone")
			unstructured.RemoveNestedField(o.Object, "metadata", "labels", "topology.kubernetes.io/region")
		}
	case "Service":
		unstructured.RemoveNestedField(o.Object, "status", "conditions") // istiod writes them in its own time
	}
	return reduce(o.Object).(map[string]any)
}

// merge joins the EndpointSlices of a Service: which of them a pod is in depends on the order in which pods are seen.
func merge(before, o map[string]any) map[string]any {
	endpoints, ok := o["endpoints"].([]any)
	if before != nil && ok {
		endpoints = append(before["endpoints"].([]any), endpoints...)
	}
	if ok {
		slices.SortFunc(endpoints, func(a, b any) int { return strings.Compare(addressOf(a), addressOf(b)) })
		o["endpoints"] = endpoints
	}
	return o
}

func addressOf(endpoint any) string {
	list, _, _ := unstructured.NestedStringSlice(endpoint.(map[string]any), "addresses")
	return strings.Join(list, ",")
}

func reduce(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, field := range v {
			switch {
			case key == "managedFields":
			case unique[key]:
				out[key] = "set"
			default:
				out[key] = reduce(field)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = reduce(v[i])
		}
		return out
	}
	return v
}
