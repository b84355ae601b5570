package actions

import (
	"context"
	_ "embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed impersonate.cue
var impersonateCUE string

type impersonate struct {
	Select    string      `json:"select"`
	Namespace string      `json:"namespace"`
	Replicas  int         `json:"replicas"`
	Delay     ir.Duration `json:"delay"`
}

// The values of `select` that are no label selectors.
const (
	selectSidecar  = "sidecar"
	selectExternal = "external"
	selectBoth     = "both"
)

// Check finds what CUE cannot.
func (a *impersonate) Check(_ context.Context, c *runtime.Checker) {
	if _, err := labels.Parse(a.selector()); err != nil {
		c.Errorf("select", "want sidecar, external, both or a label selector: %v", err)
	}
}

func (a *impersonate) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says(fmt.Sprintf("opens %d for each live pod of %s", a.Replicas, a.Select))
	return nil
}

// selector is the part of the selection that the api-server can make.
func (a *impersonate) selector() string {
	switch a.Select {
	case selectSidecar, selectExternal, selectBoth:
		return ""
	}
	return a.Select
}

func (a *impersonate) Run(ctx context.Context, env *runtime.Env) error {
	if env.Pods == nil {
		return &runtime.NoServiceError{Need: "follow the pods of a cluster", Hint: "name one with --sandbox, --kubeconfig or --context"}
	}
	f := &followed{impersonate: a, env: env, now: map[string]runtime.Proxy{}}
	return env.Pods.Follow(ctx, a.Namespace, a.selector(), func(p runtime.LivePod) { f.handle(ctx, p) })
}

// followed are the pods that have streams. Its methods are called one at a time.
type followed struct {
	*impersonate
	env *runtime.Env
	now map[string]runtime.Proxy // by the pod's namespace and name
}

// handle opens or closes the streams of a pod.
func (f *followed) handle(ctx context.Context, live runtime.LivePod) {
	pod, ok := live.Pod.(*corev1.Pod)
	if !ok {
		return
	}
	key := pod.Namespace + "/" + pod.Name
	proxy, wanted := f.proxy(pod)
	wanted = wanted && !live.Gone
	old, open := f.now[key]
	if open && (!wanted || old.IP != proxy.IP || old.Class != proxy.Class) {
		for i := range f.Replicas {
			old.Copy = i
			f.env.Proxies.Forget(old.Key())
		}
		delete(f.now, key)
		open = false
	}
	if !wanted || open {
		return
	}
	f.now[key] = proxy
	for i := range f.Replicas {
		if f.Delay > 0 && f.env.Clock.Sleep(ctx, f.Delay.Std()) != nil {
			return
		}
		proxy.Copy = i
		f.env.Proxies.Want(proxy)
	}
}

// proxy is the identity that a pod's streams have; false if the pod gets none.
func (f *followed) proxy(pod *corev1.Pod) (runtime.Proxy, bool) {
	p, has := runtime.PodProxy(pod)
	if !lives(pod) || f.Select == selectSidecar && !has || f.Select == selectExternal && has {
		return p, false
	}
	if has {
		return p, true
	}
	return runtime.Proxy{
		Class: runtime.ClassSidecar, Namespace: pod.Namespace, Name: pod.Name, IP: pod.Status.PodIP, Node: pod.Spec.NodeName,
		ServiceAccount: pod.Spec.ServiceAccountName, App: pod.Labels["app"], Labels: pod.Labels,
	}, true
}

// lives reports whether a pod runs and has an address of its own: istiod knows it by that.
func lives(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil && pod.Status.PodIP != "" && !pod.Spec.HostNetwork
}
