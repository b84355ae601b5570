package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/sandbox"
)

// TestKeptObjects runs with --keep and compares what the api-server then holds with what the scenario says.
func TestKeptObjects(t *testing.T) {
	p := run(t, 0, "run", "--keep", scenario(t, `
name: "kept"
phases: [
	{name: "nodes", steps: [{action: "createNodes", count: 2, zones: 2, ztunnel: true}]},
	{name: "mesh", steps: [{action: "createNamespaces", count: 2, waypoint: "waypoint", labels: team: "x", apps: [
		{name: "waypoint", type: "waypoint", pods: 1},
		{name: "web", type: "ambient", replicas: 2, pods: 3, labels: tier: "front", serviceAccount: "web"},
	]}]},
	{name: "settle", steps: [{action: "wait", until: "pods.ready == pods.desired && endpoints.ready == endpoints.desired && xds.synced == xds.desired"}]},
]
`))
	name := p.runID(t)
	t.Cleanup(func() {
		if err := sandbox.Down(context.Background(), name, ""); err != nil {
			t.Error(err)
		}
	})
	box, err := sandbox.Open(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := client(t, box), t.Context()
	for _, ns := range []string{"mesh-0", "mesh-1"} {
		o, err := c.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"team": "x", "istio.io/use-waypoint": "waypoint", "istio.io/dataplane-mode": "ambient", "plscript.dev/run": name} {
			if o.Labels[k] != v {
				t.Errorf("%s: label %s = %q, want %q", ns, k, o.Labels[k], v)
			}
		}
		if _, err := c.CoreV1().ServiceAccounts(ns).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		pods, err := c.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) != 7 {
			t.Errorf("%s: %d pods, want 7", ns, len(pods.Items))
		}
		for _, pod := range pods.Items {
			checkPod(t, &pod)
		}
		for app, want := range map[string]int{"waypoint": 1, "web-0": 3, "web-1": 3} {
			checkEndpoints(t, c.DiscoveryV1().EndpointSlices(ns), pods.Items, app, want)
		}
	}
}

func checkPod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	if pod.Status.Phase != corev1.PodRunning || !ready || pod.Status.PodIP != pod.Annotations["plscript.dev/ip"] || pod.Status.HostIP == "" {
		t.Errorf("%s: phase %s, ready %v, ip %s", pod.Name, pod.Status.Phase, ready, pod.Status.PodIP)
	}
	if pod.Labels["app"] != "waypoint" && (pod.Labels["tier"] != "front" || pod.Spec.ServiceAccountName != "web") {
		t.Errorf("%s: labels %v, account %s", pod.Name, pod.Labels, pod.Spec.ServiceAccountName)
	}
}

type slicer interface {
	List(context.Context, metav1.ListOptions) (*discoveryv1.EndpointSliceList, error)
}

// checkEndpoints demands that the slices of a Service hold exactly its pods.
func checkEndpoints(t *testing.T, api slicer, pods []corev1.Pod, service string, want int) {
	t.Helper()
	list, err := api.List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready {
				got[e.Addresses[0]] = e.TargetRef.Name
			}
		}
	}
	if len(got) != want {
		t.Errorf("%s: %d endpoints, want %d", service, len(got), want)
	}
	for _, p := range pods {
		if p.Labels["app"] == service && got[p.Status.PodIP] != p.Name {
			t.Errorf("%s: %s is not behind %s", service, p.Name, p.Status.PodIP)
		}
	}
}

// TestDeletedBehindOurBack deletes a pod as kubectl would while a run waits: its endpoint leaves the slice, and the
// proxies and istiod hear of it.
func TestDeletedBehindOurBack(t *testing.T) {
	box := sharedSandbox(t)
	p := start(t, "run", "--sandbox", box.Name, scenario(t, `
name: "behind"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "behind", apps: [{name: "web", type: "sidecar", pods: 3}]}]},
	{name: "settle", steps: [{action: "wait", until: "endpoints.ready == 6 && xds.synced == 3 || endpoints.ready == 3 && xds.synced == 3"}]},
	{name: "gone", steps: [
		{action: "wait", until: "pods.ready == 2 && endpoints.ready == 2 && xds.sidecar.open == 2"},
		{action: "sleep", for: "2s"},
		{action: "assert", expr: "xds.disconnects == 0 && pods.desired == 3"},
	]},
]
`))
	p.awaitOutput(t, "gone started")
	c, ctx := client(t, box), t.Context()
	pods, err := c.CoreV1().Pods("behind").List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) != 3 {
		t.Fatalf("%v: %d pods", err, len(pods.Items))
	}
	victim := pods.Items[1]
	hears := istiod.NewClient(box.MonitoringAddress(), nil)
	if err := c.CoreV1().Pods("behind").Delete(ctx, victim.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "the endpoint to leave the slice", func() bool {
		list, err := c.DiscoveryV1().EndpointSlices("behind").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Items {
			for _, e := range s.Endpoints {
				if e.Addresses[0] == victim.Status.PodIP {
					return false
				}
			}
		}
		return true
	})
	await(t, "istiod to forget the proxy", func() bool {
		proxies, err := hears.Syncz(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(proxies, func(p istiod.Proxy) bool { return p.ID == fmt.Sprintf("%s.behind", victim.Name) })
	})
	if code := p.wait(t); code != 0 {
		t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	checkEmpty(t, box)
}
