package actions

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// livePods tells of pods in order.
type livePods struct {
	events              []runtime.LivePod
	namespace, selector string // asked for
}

// Follow implements [runtime.LivePods].
func (l *livePods) Follow(_ context.Context, namespace, selector string, handle func(runtime.LivePod)) error {
	l.namespace, l.selector = namespace, selector
	for _, e := range l.events {
		handle(e)
	}
	return nil
}

// running is a pod with the given containers, which runs; change may make it another.
func running(name, ip string, containers []corev1.Container, change ...func(*corev1.Pod)) runtime.LivePod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{ServiceAccountName: "web", NodeName: "n1", Containers: containers},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip},
	}
	for _, f := range change {
		f(pod)
	}
	return runtime.LivePod{Pod: pod}
}

func gone(p runtime.LivePod) runtime.LivePod {
	p.Gone = true
	return p
}

var (
	app     = corev1.Container{Name: "app"}
	sidecar = corev1.Container{Name: "istio-proxy", Args: []string{"proxy", "sidecar"}}
	router  = corev1.Container{Name: "istio-proxy", Args: []string{"proxy", "router"}}
)

// opened runs the action over pods that come and go, and returns the proxies that are wanted in the end.
func opened(t *testing.T, a *impersonate, pods *livePods) map[string]runtime.Proxy {
	t.Helper()
	proxies := &runtimetest.Proxies{}
	env := &runtime.Env{Proxies: proxies, Clock: runtimetest.Clock{}, Services: runtime.Services{Pods: pods}}
	a.Replicas = max(a.Replicas, 1)
	if err := a.Run(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	return proxies.Wanted()
}

func keys(m map[string]runtime.Proxy) []string { return slices.Sorted(maps.Keys(m)) }

// TestImpersonateSelects: which pods get a stream, and as what.
func TestImpersonateSelects(t *testing.T) {
	t.Parallel()
	pods := func() *livePods {
		return &livePods{events: []runtime.LivePod{
			running("meshed", "10.0.0.1", []corev1.Container{app, sidecar}),
			running("edge", "10.0.0.2", []corev1.Container{router}),
			running("bare", "10.0.0.3", []corev1.Container{app}),
			running("waiting", "", []corev1.Container{app, sidecar}, func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
			running("done", "10.0.0.5", []corev1.Container{app, sidecar}, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
			running("host", "192.168.0.1", []corev1.Container{app}, func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		}}
	}
	for sel, want := range map[string][]string{
		"sidecar":  {"shop/edge", "shop/meshed"},
		"external": {"shop/bare"},
		"both":     {"shop/bare", "shop/edge", "shop/meshed"},
		"app=web":  {"shop/bare", "shop/edge", "shop/meshed"},
	} {
		p := pods()
		got := opened(t, &impersonate{Select: sel, Namespace: "shop"}, p)
		if diff := cmp.Diff(want, keys(got)); diff != "" {
			t.Errorf("%s: %s", sel, diff)
		}
		if p.namespace != "shop" || (p.selector != "") != (sel == "app=web") {
			t.Errorf("%s: asked for %q in %q", sel, p.selector, p.namespace)
		}
		if e, ok := got["shop/edge"]; ok && (e.Class != runtime.ClassGateway || e.IP != "10.0.0.2" || e.ServiceAccount != "web" || e.Node != "n1" || e.Pod) {
			t.Errorf("%s: the gateway is %+v", sel, e)
		}
		if b, ok := got["shop/bare"]; ok && (b.Class != runtime.ClassSidecar || b.IP != "10.0.0.3") {
			t.Errorf("%s: the pod without a proxy is %+v", sel, b)
		}
	}
}

// TestImpersonateFollows: streams come and go with their pods, and a pod that is another one under the same name gets a
// stream of its own.
func TestImpersonateFollows(t *testing.T) {
	t.Parallel()
	both := []corev1.Container{app, sidecar}
	a, b := running("a", "10.0.0.1", both), running("b", "10.0.0.2", both)
	terminating := running("b", "10.0.0.2", both, func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} })
	for name, c := range map[string]struct {
		events []runtime.LivePod
		want   []string
	}{
		"comes":                {[]runtime.LivePod{a, b, a}, []string{"shop/a", "shop/a#1", "shop/b", "shop/b#1"}},
		"goes":                 {[]runtime.LivePod{a, b, gone(a)}, []string{"shop/b", "shop/b#1"}},
		"terminates":           {[]runtime.LivePod{a, b, terminating}, []string{"shop/a", "shop/a#1"}},
		"starts late":          {[]runtime.LivePod{running("a", "", both), a}, []string{"shop/a", "shop/a#1"}},
		"was never there":      {[]runtime.LivePod{gone(a)}, nil},
		"comes back elsewhere": {[]runtime.LivePod{a, running("a", "10.0.0.9", both)}, []string{"shop/a", "shop/a#1"}},
	} {
		got := opened(t, &impersonate{Select: "both", Replicas: 2}, &livePods{events: c.events})
		if diff := cmp.Diff(c.want, keys(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if name == "comes back elsewhere" && got["shop/a#1"].IP != "10.0.0.9" {
			t.Errorf("it has its old address: %+v", got)
		}
	}
}

func TestImpersonateNeedsPods(t *testing.T) {
	t.Parallel()
	err := (&impersonate{Select: "both", Replicas: 1}).Run(t.Context(), &runtime.Env{})
	if coded, ok := err.(interface{ ExitCode() runtime.ExitCode }); !ok || coded.ExitCode() != runtime.ExitTarget {
		t.Errorf("without a cluster: %v", err)
	}
}
