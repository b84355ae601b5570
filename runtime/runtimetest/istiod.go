package runtimetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

// Injector gives pods what istiod's webhook would, as far as the logic of a run looks at it, after Latency or with the
// error of Fail. The zero value is ready.
type Injector struct {
	Latency time.Duration
	Fail    func(*corev1.Pod) error // nil: nothing fails

	mu     sync.Mutex
	pods   []string
	now    int
	atOnce int
}

// Inject implements [runtime.Injector].
func (i *Injector) Inject(ctx context.Context, o runtime.Object) (runtime.Object, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("%T is not a pod", o)
	}
	i.mu.Lock()
	i.pods = append(i.pods, pod.Namespace+"/"+pod.Name)
	i.now++
	i.atOnce = max(i.atOnce, i.now)
	i.mu.Unlock()
	defer func() {
		i.mu.Lock()
		i.now--
		i.mu.Unlock()
	}()
	if err := (Clock{}).Sleep(ctx, i.Latency); err != nil {
		return nil, err
	}
	if i.Fail != nil {
		if err := i.Fail(pod); err != nil {
			return nil, err
		}
	}
	return Inject(pod), nil
}

// Inject returns the pod with a proxy in it.
func Inject(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Annotations["sidecar.istio.io/status"] = "{}"
	pod.Labels["security.istio.io/tlsMode"] = "istio"
	pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{
		Name: "istio-proxy", Args: []string{"proxy", "sidecar"},
		Env: []corev1.EnvVar{{Name: "ISTIO_META_WORKLOAD_NAME", Value: pod.Name}, {Name: "ISTIO_META_MESH_ID", Value: "cluster.local"}},
	})
	return pod
}

// Admit answers creates of pods that ask for it as an api-server with istiod's webhook does: for [Writer.Answer].
func Admit(op runtime.Op) runtime.Object {
	if pod, ok := op.Object.(*corev1.Pod); ok && pod.Labels["sidecar.istio.io/inject"] == "true" {
		return Inject(pod)
	}
	return op.Object
}

// Injected returns the pods that were shown to the injector, "namespace/name", in order.
func (i *Injector) Injected() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.pods...)
}

// AtOnce returns the most pods that were with the injector at the same time.
func (i *Injector) AtOnce() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.atOnce
}

// Certificates counts the certificates asked for, by "namespace/account key". The zero value is ready.
type Certificates struct {
	Latency time.Duration
	Err     error

	mu    sync.Mutex
	asked map[string]int
}

// Request implements [runtime.Certificates].
func (c *Certificates) Request(ctx context.Context, p runtime.Proxy, key runtime.KeyType) (time.Duration, error) {
	if err := (Clock{}).Sleep(ctx, c.Latency); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[fmt.Sprintf("%s/%s %s", p.Namespace, p.ServiceAccount, key)]++
	return c.Latency, c.Err
}

// Asked returns how many certificates were asked for, by "namespace/account key".
func (c *Certificates) Asked() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for k, n := range c.asked {
		out[k] = n
	}
	return out
}
