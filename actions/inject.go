package actions

import (
	"context"
	_ "embed"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

//go:embed inject.cue
var injectCUE string

type inject struct {
	requests
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Containers  int               `json:"containers"`
}

// Check finds what only several fields together show.
func (a *inject) Check(_ context.Context, c *runtime.Checker) { a.check(c, "requests") }

func (a *inject) Plan(_ context.Context, p *runtime.Planner) error { return a.plan(p, a.intent) }

func (a *inject) Run(ctx context.Context, env *runtime.Env) error { return a.run(ctx, env, a.intent) }

func (a *inject) intent(i int) (runtime.Intent, error) {
	name := fmt.Sprintf("inject-%d", i)
	return runtime.Intent{
		Kind: "Pod", Namespace: a.Namespace, Name: name, Injection: runtime.InjectDirect,
		Build: func() runtime.Object { return a.pod(name) },
	}, nil
}

// pod is one as a ReplicaSet would create it: on no node yet.
func (a *inject) pod(name string) *corev1.Pod {
	labels := map[string]string{"app": "inject"}
	maps.Copy(labels, a.Labels)
	containers := make([]corev1.Container, max(1, a.Containers))
	for i := range containers {
		containers[i] = container(numbered("app", i, len(containers)), "plscript.dev/app")
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: a.Namespace, Labels: labels, Annotations: maps.Clone(a.Annotations)},
		Spec:       podSpec(nil, "default", containers...),
	}
}
