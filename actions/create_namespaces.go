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
	a.checkNames(c)
	waypoints := map[string]bool{}
	for i, app := range a.Apps {
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
	return p.Do(a.intents(ctx, p.Mesh, time.Time{}, alone))
}

func (a *createNamespaces) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(ctx, env.Mesh, env.Clock.Now(), env.Choose))
}

func (a *createNamespaces) intents(ctx context.Context, m *runtime.Mesh, now time.Time, choose chooser) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		f := &filler{createNamespaces: a, mesh: m, now: now, choose: choose, yield: yield}
		// All namespaces come first, so that only once everything has to wait for one to be there.
		batch := a.Count
		if a.GracePeriod > 0 {
			batch = 1
		}
		for from := 0; from < a.Count; from += batch {
			if from > 0 && !yield(runtime.Intent{Pause: a.GracePeriod.Std()}, nil) {
				return
			}
			made, ok := f.namespaces(from, batch)
			if !ok {
				return
			}
			for _, ns := range made {
				if !f.contents(ctx, ns) {
					return
				}
			}
		}
	}
}

// filler makes namespaces and what is in them. Another step may have planned the end of any of it by then: of that it makes
// no more. Its methods report whether to go on.
type filler struct {
	*createNamespaces
	mesh   *runtime.Mesh
	now    time.Time
	choose chooser
	yield  func(runtime.Intent, error) bool
}

// namespaces yields count namespaces, of which nothing that follows may be written before they are there.
func (f *filler) namespaces(from, count int) (made []*runtime.Namespace, ok bool) {
	for i := from; i < from+count; i++ {
		ok := f.choose.each(f.yield, func() ([]runtime.Intent, error) {
			ns, err := f.mesh.AddNamespace(numbered(cmp.Or(f.Name, "mesh"), i, f.Count), i)
			if err != nil {
				return nil, err
			}
			ns.Injecting = injecting(f.Labels)
			made = append(made, ns)
			return []runtime.Intent{{
				Verb: runtime.VerbCreate, Kind: "Namespace", Name: ns.Name, Barrier: i == from+count-1,
				Build: func() runtime.Object { return namespaceObject(ns, f.Labels, f.Waypoint, f.ambient()) },
			}}, nil
		})
		if !ok {
			return nil, false
		}
	}
	return made, true
}

// contents yields what is in one namespace. Up to each pause all services come before all pods, as a Deployment finds the
// Service of its app: istiod looks at every pod of a namespace again when a Service comes to it.
func (f *filler) contents(ctx context.Context, ns *runtime.Namespace) bool {
	accounts := map[string]bool{"default": true} // which the cluster makes itself
	var pause ir.Duration                        // that the copy before asks for
	var apps []plannedApp                        // whose pods are still to come
	for _, spec := range f.Apps {
		if sa := spec.ServiceAccount; !accounts[sa] {
			accounts[sa] = true
			if !f.choose.each(f.yield, func() ([]runtime.Intent, error) { return f.account(ns, sa), nil }) {
				return false
			}
		}
		for j := range spec.Replicas {
			if pause > 0 {
				if !f.pods(apps) || !f.yield(runtime.Intent{Pause: pause.Std()}, nil) {
					return false
				}
				apps = apps[:0]
			}
			pause = spec.GracePeriod
			app := plannedApp{pods: spec.Pods}
			if !f.choose.each(f.yield, func() (in []runtime.Intent, err error) {
				if app.App = f.addApp(f.mesh, ns, spec, j); app.App != nil {
					in, err = f.surroundings(ctx, app.App, spec)
				}
				return in, err
			}) {
				return false
			}
			if app.App == nil {
				return true
			}
			apps = append(apps, app)
		}
	}
	return f.pods(apps)
}

// account is a ServiceAccount, if there is a namespace for it.
func (f *filler) account(ns *runtime.Namespace, name string) []runtime.Intent {
	if !f.mesh.HasNamespace(ns) {
		return nil
	}
	return []runtime.Intent{serviceAccountIntent(ns, name)}
}

// plannedApp is a copy of an app and how many pods it gets.
type plannedApp struct {
	*runtime.App
	pods int
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

// surroundings are the Service of an app and what its type needs besides, or what stands for an app outside of the cluster.
func (f *filler) surroundings(ctx context.Context, app *runtime.App, spec appSpec) (out []runtime.Intent, err error) {
	if app.Type.InCluster() {
		return append([]runtime.Intent{serviceIntent(app, spec.ServiceLabels)}, typeIntents(app)...), nil
	}
	for in, err := range outsideIntents(ctx, f.mesh, app, spec.ServiceLabels, f.machine) {
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

// pods yields the pods of the apps, with the nodes that they need.
func (f *filler) pods(apps []plannedApp) bool {
	for _, app := range apps {
		if !app.Type.InCluster() {
			continue
		}
		another := func() ([]runtime.Intent, error) {
			pod, added, err := f.mesh.AddPod(app.App)
			if err != nil || pod == nil {
				return nil, err
			}
			return podIntents(pod, added, podSettings{}, f.now), nil
		}
		for range app.pods {
			if !f.choose.each(f.yield, another) {
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
