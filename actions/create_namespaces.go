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
	"github.com/plscript/plscript/runtime/expr"
)

//go:embed create_namespaces.cue
var createNamespacesCUE string

type createNamespaces struct {
	Count       int               `json:"count"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Waypoint    string            `json:"waypoint"`
	GracePeriod ir.Duration       `json:"gracePeriod"`
	Metadata    map[string]string `json:"metadata"`
	Apps        []appSpec         `json:"apps"`

	machine *expr.Template // of a vm's WorkloadEntries, nil if there is no vm
}

type appSpec struct {
	Name           string            `json:"name"`
	Type           runtime.AppType   `json:"type"`
	Replicas       int               `json:"replicas"`
	Pods           int               `json:"pods"`
	Labels         map[string]string `json:"labels"`
	ServiceLabels  map[string]string `json:"serviceLabels"`
	ServiceAccount string            `json:"serviceAccount"`
	Headless       bool              `json:"headless"`
	Selector       *bool             `json:"selector"` // nil means true
	GracePeriod    ir.Duration       `json:"gracePeriod"`
	podSettings
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
		checkInjection(c, fmt.Sprintf("apps[%d]", i), app, a.Labels)
		app.checkService(c, fmt.Sprintf("apps[%d]", i))
		switch app.Type {
		case runtime.AppWaypoint:
			waypoints[app.Name] = true
			if app.Replicas > 1 {
				c.Errorf(fmt.Sprintf("apps[%d].replicas", i), "a waypoint has one copy: namespaces find it by its name; raise `pods` instead")
			}
		case runtime.AppExternal:
			if app.Pods > 1 {
				c.Errorf(fmt.Sprintf("apps[%d].pods", i), "an external app has no pods: leave them out")
			}
		case runtime.AppVM:
			if a.machine == nil {
				a.machine, _ = c.Template(fmt.Sprintf("apps[%d]", i), workloadEntry)
			}
		}
	}
	if a.Waypoint != "" && !strings.Contains(a.Waypoint, "/") && !waypoints[a.Waypoint] {
		c.Errorf("waypoint", "no app of type waypoint is called %q", a.Waypoint)
	}
}

func (a *createNamespaces) Plan(ctx context.Context, p *runtime.Planner) error {
	return p.Do(a.intents(ctx, p.Mesh, time.Time{}))
}

func (a *createNamespaces) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(ctx, env.Mesh, env.Clock.Now()))
}

func (a *createNamespaces) intents(ctx context.Context, m *runtime.Mesh, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		// All namespaces come first, so that only once everything has to wait for one to be there.
		batch := a.Count
		if a.GracePeriod > 0 {
			batch = 1
		}
		for from := 0; from < a.Count; from += batch {
			if from > 0 && !yield(runtime.Intent{Pause: a.GracePeriod.Std()}, nil) {
				return
			}
			made, ok := a.namespaces(m, from, batch, yield)
			if !ok {
				return
			}
			for _, ns := range made {
				if !a.contents(ctx, m, ns, now, yield) {
					return
				}
			}
		}
	}
}

// namespaces yields count namespaces, of which nothing that follows may be written before they are there.
func (a *createNamespaces) namespaces(m *runtime.Mesh, from, count int, yield func(runtime.Intent, error) bool) (made []*runtime.Namespace, ok bool) {
	for i := from; i < from+count; i++ {
		ns, err := m.AddNamespace(numbered(cmp.Or(a.Name, "mesh"), i, a.Count), i)
		if err != nil {
			yield(runtime.Intent{}, err)
			return nil, false
		}
		ns.Injecting = injecting(a.Labels)
		made = append(made, ns)
		create := runtime.Intent{
			Verb: runtime.VerbCreate, Kind: "Namespace", Name: ns.Name, Barrier: i == from+count-1,
			Build: func() runtime.Object { return namespaceObject(ns, a.Labels, a.Waypoint, a.ambient()) },
		}
		if !yield(create, nil) {
			return nil, false
		}
	}
	return made, true
}

// contents yields what is in one namespace, and reports whether to go on.
func (a *createNamespaces) contents(ctx context.Context, m *runtime.Mesh, ns *runtime.Namespace, now time.Time, yield func(runtime.Intent, error) bool) bool {
	accounts := map[string]bool{"default": true} // which the cluster makes itself
	var pause ir.Duration                        // that the copy before asks for
	for _, spec := range a.Apps {
		if sa := spec.ServiceAccount; !accounts[sa] {
			accounts[sa] = true
			if !yield(serviceAccountIntent(ns, sa), nil) {
				return false
			}
		}
		for j := range spec.Replicas {
			if pause > 0 && !yield(runtime.Intent{Pause: pause.Std()}, nil) {
				return false
			}
			pause = spec.GracePeriod
			app := a.addApp(m, ns, spec, j)
			for in, err := range a.appIntents(ctx, m, app, spec, now) {
				if !yield(in, err) || err != nil {
					return false
				}
			}
		}
	}
	return true
}

// addApp plans one copy of an app.
func (a *createNamespaces) addApp(m *runtime.Mesh, ns *runtime.Namespace, spec appSpec, copy int) *runtime.App {
	name := numbered(spec.Name, copy, spec.Replicas)
	injection := injectionOf(spec.Type, spec.Inject, ns.Injecting)
	if m.Cluster == ir.ClusterReal && spec.Inject == "" {
		injection = runtime.InjectNone // there is no pod to patch
	}
	app := runtime.App{
		Namespace: ns, Name: name, Index: copy, Type: spec.Type, Account: spec.ServiceAccount,
		Labels: appLabels(name, spec, injection), Metadata: a.Metadata, Injection: injection,
	}
	if _, proxied := spec.Type.ProxyClass(); proxied {
		app.CSR = m.Certify
		if spec.CSR != nil {
			app.CSR = *spec.CSR
		}
	}
	app.Headless, app.NoSelector = spec.Headless, !spec.hasSelector()
	if spec.Type == runtime.AppVM {
		app.Machines = spec.Pods
	}
	return m.AddApp(app)
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

// appIntents are the Service of an app, what its type needs besides, and its pods with the nodes they need; or what
// stands for an app outside of the cluster.
func (a *createNamespaces) appIntents(ctx context.Context, m *runtime.Mesh, app *runtime.App, spec appSpec, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		if !app.Type.InCluster() {
			outsideIntents(ctx, m, app, spec.ServiceLabels, a.machine)(yield)
			return
		}
		for _, in := range append([]runtime.Intent{serviceIntent(app, spec.ServiceLabels)}, typeIntents(app)...) {
			if !yield(in, nil) {
				return
			}
		}
		for range spec.Pods {
			pod, added, err := m.AddPod(app)
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			for _, in := range podIntents(pod, added, podSettings{}, now) {
				if !yield(in, nil) {
					return
				}
			}
		}
	}
}

// numbered is name, or name-i if there are several.
func numbered(name string, i, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i)
}

// appLabels are the labels of an app's pods: what istiod selects and classifies them by.
func appLabels(name string, spec appSpec, injection runtime.Injection) map[string]string {
	l := map[string]string{"app": name}
	switch spec.Type {
	case runtime.AppGateway:
		l["istio"] = "ingressgateway"
	case runtime.AppWaypoint:
		l["gateway.networking.k8s.io/gateway-name"] = name
		l["gateway.istio.io/managed"] = "istio.io-mesh-controller"
		l["istio.io/dataplane-mode"] = "none"
	}
	if injection == runtime.InjectNone {
		maps.Copy(l, injectedLabels(spec.Type, name))
	}
	maps.Copy(l, spec.Labels)
	return l
}
