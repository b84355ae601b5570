package actions

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/runtime"
)

//go:embed delete.cue
var deleteCUE string

type deleteObjects struct {
	Unit    string      `json:"unit"`
	Select  string      `json:"select"`
	Objects []objectRef `json:"objects"`

	selector *runtime.Selector
}

type objectRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

func (a *deleteObjects) Check(_ context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
	switch {
	case a.Select == "" && len(a.Objects) == 0:
		c.Errorf("", "needs `select` or `objects`: what to delete has to be said (select: \"true\" is everything)")
	case a.Select != "" && len(a.Objects) > 0:
		c.Errorf("objects", "cannot go with `select`: use two steps")
	}
	for i, ref := range a.Objects {
		c.Object(map[string]any{
			"apiVersion": ref.APIVersion, "kind": ref.Kind,
			"metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace},
		}, func(path string) string {
			return fmt.Sprintf("objects[%d].%s", i, strings.TrimPrefix(path, "metadata."))
		})
	}
}

func (a *deleteObjects) Plan(ctx context.Context, p *runtime.Planner) error {
	return p.Do(some(a.intents(ctx, p.Mesh), a.Select != ""))
}

func (a *deleteObjects) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(ctx, env.Mesh))
}

func (a *deleteObjects) intents(ctx context.Context, m *runtime.Mesh) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for _, ref := range a.Objects {
			m.Unapply(runtime.ObjectKey(ref))
			if !yield(followGone(ref.goneIntent(), runtime.ObjectKey(ref)), nil) {
				return
			}
		}
		if a.Select == "" {
			return
		}
		for _, ns := range m.Namespaces() {
			intents, err := a.within(ctx, m, ns)
			if err != nil {
				yield(runtime.Intent{}, fmt.Errorf("select: %w", err))
				return
			}
			for _, in := range intents {
				if !yield(in, nil) {
					return
				}
			}
		}
	}
}

// within plans what goes in one namespace.
func (a *deleteObjects) within(ctx context.Context, m *runtime.Mesh, ns *runtime.Namespace) ([]runtime.Intent, error) {
	if a.Unit == "namespace" {
		ok, err := a.selector.Matches(ctx, runtime.Scene{Namespace: ns})
		if !ok || err != nil {
			return nil, err
		}
		return namespaceGone(m, ns), nil
	}
	var out []runtime.Intent
	for _, app := range m.Apps(ns) {
		if a.Unit == "pod" {
			for _, pod := range m.Pods(app) {
				ok, err := a.selector.Matches(ctx, runtime.Scene{Namespace: ns, App: app, Pod: pod})
				if err != nil {
					return nil, err
				}
				if ok {
					m.RemovePod(pod)
					out = append(out, podGone(pod))
				}
			}
			continue
		}
		ok, err := a.selector.Matches(ctx, runtime.Scene{Namespace: ns, App: app})
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, appGone(m, app)...)
		}
	}
	return out, nil
}

// podGone deletes a pod and measures how long its address stays in the mesh.
func podGone(pod *runtime.Pod) runtime.Intent {
	in := podGoneIntent(pod)
	in.Change = endpointChange(pod, true)
	return in
}

// appGone deletes an app: its pods and its Service, or what stands for it. Nothing is measured, as the Service takes its
// endpoints with it.
func appGone(m *runtime.Mesh, app *runtime.App) []runtime.Intent {
	if !app.Type.InCluster() {
		m.RemoveApp(app)
		return outsideGone(m, app)
	}
	ref := objectRef{APIVersion: "v1", Kind: "Service", Namespace: app.Namespace.Name, Name: app.Name}
	out := []runtime.Intent{ref.goneIntent()}
	if app.Type == runtime.AppWaypoint {
		gw := objectRef{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Namespace: app.Namespace.Name, Name: app.Name}
		out = append(out, gw.goneIntent())
	}
	for _, pod := range m.RemoveApp(app) {
		out = append(out, podGoneIntent(pod))
	}
	return out
}

// namespaceGone deletes a namespace; the api-server's namespace controller, or who stands in for it, deletes what is
// inside. Its proxies are not wanted any more.
func namespaceGone(m *runtime.Mesh, ns *runtime.Namespace) []runtime.Intent {
	in := runtime.Intent{Verb: runtime.VerbDelete, Kind: "Namespace", Name: ns.Name, Build: func() runtime.Object {
		return &corev1.Namespace{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: ns.Name},
		}
	}, Change: func() runtime.Change { return runtime.NamespaceRemoval(ns.Name) }}
	pods := m.RemoveNamespace(ns.Name)
	in.Pods = int64(len(pods))
	for _, pod := range pods {
		if class, ok := pod.App.Type.ProxyClass(); ok {
			in.Forget = append(in.Forget, runtime.ProxyKey{Class: class, Key: pod.Key()})
		}
	}
	return []runtime.Intent{in}
}

func (r objectRef) goneIntent() runtime.Intent {
	return runtime.Intent{Verb: runtime.VerbDelete, Group: apiGroup(r.APIVersion), Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Build: func() runtime.Object {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion(r.APIVersion)
		o.SetKind(r.Kind)
		o.SetNamespace(r.Namespace)
		o.SetName(r.Name)
		return o
	}}
}
