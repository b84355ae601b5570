package actions

import (
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/expr"
)

//go:embed apply.cue
var applyCUE string

type apply struct {
	Scope    runtime.Scope    `json:"scope"`
	Count    int              `json:"count"`
	Select   string           `json:"select"`
	Audience string           `json:"audience"`
	Objects  []map[string]any `json:"objects"`

	selector, audience *runtime.Selector
	templates          []*expr.Template
}

func (a *apply) Check(ctx context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
	a.audience = c.Selector("audience", a.Audience)
	for i, o := range a.Objects {
		field := fmt.Sprintf("objects[%d]", i)
		t, _ := c.Template(field, o)
		a.templates = append(a.templates, t)
		ok := true
		for _, key := range []string{"apiVersion", "kind"} {
			if s, _ := o[key].(string); strings.Contains(s, "${") {
				c.Errorf(field+"."+key, "must be plain text: what kind of object is made has to be known before the run")
				ok = false
			}
		}
		if ok {
			c.Sample(ctx, field, t, a.Scope)
		}
	}
}

func (a *apply) Plan(ctx context.Context, p *runtime.Planner) error {
	return p.Do(some(a.intents(ctx, p.Mesh, p.Rand, p.Params), a.Select != ""))
}

func (a *apply) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(ctx, env.Mesh, env.Rand, env.Params))
}

func (a *apply) intents(ctx context.Context, m *runtime.Mesh, r *rand.Rand, params map[string]any) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		scenes, err := a.scenes(ctx, m)
		if n := len(scenes) * a.Count; err == nil && n > runtime.MaxCreated {
			err = fmt.Errorf("too many objects: %d for each template, of at most %d", n, runtime.MaxCreated)
		}
		if err != nil {
			yield(runtime.Intent{}, err)
			return
		}
		who, err := audience(ctx, m, a.audience)
		if err != nil {
			yield(runtime.Intent{}, err)
			return
		}
		index := 0
		for _, s := range scenes {
			for range a.Count {
				s.Index, s.Params, s.Rand = index, params, r
				index++
				for i, t := range a.templates {
					in, err := a.intent(ctx, m, i, t, s, who)
					if !yield(in, err) || err != nil {
						return
					}
				}
			}
		}
	}
}

// scenes are what the templates are rendered for.
func (a *apply) scenes(ctx context.Context, m *runtime.Mesh) ([]runtime.Scene, error) {
	if a.Scope == runtime.ScopeCluster {
		return []runtime.Scene{{}}, nil
	}
	var out []runtime.Scene
	for _, ns := range m.Namespaces() {
		scenes, err := a.within(ctx, m, ns)
		if err != nil {
			return nil, err
		}
		out = append(out, scenes...)
	}
	return out, nil
}

// within are the scenes of one namespace.
func (a *apply) within(ctx context.Context, m *runtime.Mesh, ns *runtime.Namespace) ([]runtime.Scene, error) {
	var all, out []runtime.Scene
	switch a.Scope {
	case runtime.ScopeNamespace:
		all = []runtime.Scene{{Namespace: ns}}
	case runtime.ScopeApp:
		for _, app := range m.Apps(ns) {
			all = append(all, runtime.Scene{Namespace: ns, App: app})
		}
	case runtime.ScopePod:
		for _, app := range m.Apps(ns) {
			for _, pod := range m.Pods(app) {
				all = append(all, runtime.Scene{Namespace: ns, App: app, Pod: pod})
			}
		}
	}
	for _, s := range all {
		ok, err := a.selector.Matches(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("select: %w", err)
		}
		if ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// intent renders one object. The first write of an object creates it, any further one updates it.
func (a *apply) intent(ctx context.Context, m *runtime.Mesh, i int, t *expr.Template, s runtime.Scene, who func(runtime.Proxy) bool) (runtime.Intent, error) {
	o, key, err := renderObject(ctx, t, s)
	if err != nil {
		return runtime.Intent{}, fmt.Errorf("objects[%d]: %w", i, err)
	}
	verb := runtime.VerbCreate
	if m.Applied(key, t, s) {
		verb = runtime.VerbUpdate
	}
	return follow(objectIntent(verb, o, key), o, key, who), nil
}

// renderObject renders a template for a scene, in the scene's namespace unless the template names one.
func renderObject(ctx context.Context, t *expr.Template, s runtime.Scene) (*unstructured.Unstructured, runtime.ObjectKey, error) {
	v, err := t.Render(ctx, s.Vars())
	if err != nil {
		return nil, runtime.ObjectKey{}, err
	}
	o := &unstructured.Unstructured{Object: v.(map[string]any)}
	if ns := s.NamespaceName(); o.GetNamespace() == "" && ns != "" {
		o.SetNamespace(ns)
	}
	return o, runtime.ObjectKey{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}, nil
}

func objectIntent(verb runtime.Verb, o *unstructured.Unstructured, key runtime.ObjectKey) runtime.Intent {
	return runtime.Intent{
		Verb: verb, Group: apiGroup(key.APIVersion), Kind: key.Kind, Namespace: key.Namespace, Name: key.Name,
		Build: func() runtime.Object { return o },
	}
}

// apiGroup is the group of an apiVersion: "networking.istio.io" of "networking.istio.io/v1", "" of "v1".
func apiGroup(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}
