package actions

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed create_namespaces.cue
var createNamespacesCUE string

type createNamespaces struct {
	Count       int               `json:"count"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Waypoint    string            `json:"waypoint"`
	GracePeriod ir.Duration       `json:"gracePeriod"`
	Apps        []appSpec         `json:"apps"`
}

type appSpec struct {
	Name           string            `json:"name"`
	Type           runtime.AppType   `json:"type"`
	Replicas       int               `json:"replicas"`
	Pods           int               `json:"pods"`
	Labels         map[string]string `json:"labels"`
	ServiceAccount string            `json:"serviceAccount"`
	GracePeriod    ir.Duration       `json:"gracePeriod"`
}

// Check finds what only several fields together show.
func (a *createNamespaces) Check(_ context.Context, c *runtime.Checker) {
	seen := map[string]bool{}
	waypoints := map[string]bool{}
	for i, app := range a.Apps {
		if seen[app.Name] {
			c.Errorf(fmt.Sprintf("apps[%d].name", i), "another app is called %q already", app.Name)
		}
		seen[app.Name] = true
		if app.Type == runtime.AppWaypoint {
			waypoints[app.Name] = true
			if app.Replicas > 1 {
				c.Errorf(fmt.Sprintf("apps[%d].replicas", i), "a waypoint has one copy: namespaces find it by its name; raise `pods` instead")
			}
		}
	}
	if a.Waypoint != "" && !strings.Contains(a.Waypoint, "/") && !waypoints[a.Waypoint] {
		c.Errorf("waypoint", "no app of type waypoint is called %q", a.Waypoint)
	}
}

func (a *createNamespaces) Plan(_ context.Context, p *runtime.Planner) error {
	return p.Do(a.intents(p.Mesh, time.Time{}))
}

func (a *createNamespaces) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(env.Mesh, env.Clock.Now()))
}

func (a *createNamespaces) intents(m *runtime.Mesh, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for i := range a.Count {
			if i > 0 && a.GracePeriod > 0 && !yield(runtime.Intent{Pause: a.GracePeriod.Std()}, nil) {
				return
			}
			ns, err := m.AddNamespace(numbered(cmp.Or(a.Name, "mesh"), i, a.Count), i)
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			// What is inside has to wait for the namespace itself.
			create := runtime.Intent{
				Verb: runtime.VerbCreate, Kind: "Namespace", Name: ns.Name, Barrier: true,
				Build: func() runtime.Object { return namespaceObject(ns, a.Labels, a.Waypoint, a.ambient()) },
			}
			if !yield(create, nil) || !a.contents(m, ns, now, yield) {
				return
			}
		}
	}
}

// contents yields what is in one namespace, and reports whether to go on.
func (a *createNamespaces) contents(m *runtime.Mesh, ns *runtime.Namespace, now time.Time, yield func(runtime.Intent, error) bool) bool {
	accounts := map[string]bool{"default": true} // which the cluster makes itself
	for _, spec := range a.Apps {
		if sa := spec.ServiceAccount; !accounts[sa] {
			accounts[sa] = true
			if !yield(serviceAccountIntent(ns, sa), nil) {
				return false
			}
		}
		for j := range spec.Replicas {
			if j > 0 && spec.GracePeriod > 0 && !yield(runtime.Intent{Pause: spec.GracePeriod.Std()}, nil) {
				return false
			}
			app := m.AddApp(runtime.App{
				Namespace: ns, Name: numbered(spec.Name, j, spec.Replicas), Index: j, Type: spec.Type,
				Account: spec.ServiceAccount, Labels: appLabels(numbered(spec.Name, j, spec.Replicas), ns.Name, spec),
			})
			if !appIntents(m, app, spec.Pods, now, yield) {
				return false
			}
		}
	}
	return true
}

// ambient reports whether the namespaces join the ambient mesh.
func (a *createNamespaces) ambient() bool {
	for _, app := range a.Apps {
		if app.Type == runtime.AppAmbient {
			return true
		}
	}
	return a.Waypoint != ""
}

// appIntents yields the Service of an app, what its type needs besides, and its pods with the nodes they need.
func appIntents(m *runtime.Mesh, app *runtime.App, pods int, now time.Time, yield func(runtime.Intent, error) bool) bool {
	for _, in := range append([]runtime.Intent{serviceIntent(app)}, typeIntents(app)...) {
		if !yield(in, nil) {
			return false
		}
	}
	for range pods {
		pod, added, err := m.AddPod(app)
		if err != nil {
			yield(runtime.Intent{}, err)
			return false
		}
		for _, in := range podIntents(pod, added, now) {
			if !yield(in, nil) {
				return false
			}
		}
	}
	return true
}

// numbered is name, or name-i if there are several.
func numbered(name string, i, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i)
}

// appLabels are the labels of an app's pods: what istiod selects and classifies them by.
func appLabels(name, ns string, spec appSpec) map[string]string {
	l := map[string]string{
		"app":                                 name,
		"service.istio.io/canonical-name":     name,
		"service.istio.io/canonical-revision": "latest",
	}
	switch spec.Type {
	case runtime.AppSidecar:
		l["security.istio.io/tlsMode"] = "istio" // as the injector sets it: the endpoint takes mutual TLS
	case runtime.AppGateway:
		l["istio"] = "ingressgateway"
		l["security.istio.io/tlsMode"] = "istio"
	case runtime.AppWaypoint:
		l["gateway.networking.k8s.io/gateway-name"] = name
		l["gateway.istio.io/managed"] = "istio.io-mesh-controller"
		l["istio.io/dataplane-mode"] = "none"
		l["security.istio.io/tlsMode"] = "istio"
	}
	maps.Copy(l, spec.Labels)
	return l
}
