package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// final is what a scenario leaves behind: where each pod is and what it is, and the pods behind each Service by address.
type final struct {
	Pods      map[string]string            // "node address phase" by key
	Endpoints map[string]map[string]string // pods by address, by the key of the Service
}

// plans are those that have been worked out, which takes as long as the phases do. Tests here run one at a time.
var plans = map[string]final{}

// planned is the final state of phases that write plain apps, worked out where nothing goes wrong. They
// must not have steps that wait for a cluster.
func planned(t testing.TB, phases string) final {
	t.Helper()
	if f, ok := plans[phases]; ok {
		return f
	}
	w := &runtimetest.Writer{}
	g := compiled(t, phases)
	out := g.Run(t.Context(), runtime.Parts{
		RunID: "planned", Clock: runtimetest.Clock{}, Writer: w, Proxies: noProxies{}, Changes: noChanges{}, Signal: &runtime.Signal{},
	})
	if out.Err != nil {
		t.Error(out.Err)
	}
	pods := map[string]*corev1.Pod{}
	f := final{Pods: map[string]string{}, Endpoints: map[string]map[string]string{}}
	for _, x := range w.Writes() {
		key := x.Namespace + "/" + x.Name
		switch {
		case x.Kind == "Service":
			f.Endpoints[key] = map[string]string{}
		case x.Kind == "Pod" && x.Verb == runtime.VerbDelete:
			delete(pods, key)
		case x.Kind == "Pod":
			pods[key] = x.Object.(*corev1.Pod)
		}
	}
	for key, p := range pods {
		ip := p.Annotations[runtime.AnnotationIP]
		f.Pods[key] = p.Spec.NodeName + " " + ip + " Running"
		f.Endpoints[p.Namespace+"/"+p.Labels["app"]][ip] = p.Name
	}
	plans[phases] = f
	return f
}

// left is what the api-server shows of a run.
func left(t testing.TB, cfg *rest.Config, id string) final {
	t.Helper()
	client, own := clientOf(t, cfg), metav1.ListOptions{LabelSelector: runtime.LabelRun + "=" + id}
	pods, err := client.CoreV1().Pods("").List(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	slices, err := client.DiscoveryV1().EndpointSlices("").List(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	f := final{Pods: map[string]string{}, Endpoints: map[string]map[string]string{}}
	for _, p := range pods.Items {
		f.Pods[p.Namespace+"/"+p.Name] = p.Spec.NodeName + " " + p.Status.PodIP + " " + string(p.Status.Phase)
	}
	for _, s := range slices.Items {
		key := s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]
		if f.Endpoints[key] == nil {
			f.Endpoints[key] = map[string]string{}
		}
		for _, e := range s.Endpoints {
			what := f.Endpoints[key][e.Addresses[0]] + e.TargetRef.Name // which shows one that is there twice
			if !*e.Conditions.Ready {
				what += " not ready"
			}
			f.Endpoints[key][e.Addresses[0]] = what
		}
	}
	return f
}

// awaitFinal demands that a run leaves what its scenario says, object by object, as soon as everything has followed: counts,
// which its own last step waits for, may be right for a moment before that.
func awaitFinal(t testing.TB, j job) {
	t.Helper()
	want := planned(t, j.final)
	for end := time.Now().Add(30 * time.Second); ; {
		diff := cmp.Diff(want, left(t, j.rest, j.id))
		switch {
		case diff == "":
			return
		case time.Now().After(end):
			t.Errorf("(-planned +left):\n%s", diff)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
