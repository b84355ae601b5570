package runtime

import (
	"context"
	"math/rand/v2"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/plscript/plscript/runtime/expr"
)

// Selector is a compiled CEL selector over the planned mesh. A nil Selector selects everything.
type Selector struct {
	prog *expr.Program
}

// Matches reports whether the selector holds for the scene: a pod, an app or a namespace. A selector that reads what
// the scene does not have, such as the pod of an app, is an error.
func (s *Selector) Matches(ctx context.Context, sc Scene) (bool, error) {
	if s == nil {
		return true, nil
	}
	return s.prog.True(ctx, sc.places())
}

// Fits reports whether the scene has all that the selector reads: an app's scene has no pod.
func (s *Selector) Fits(sc Scene) bool {
	if s == nil {
		return true
	}
	has := sc.places()
	for _, path := range s.prog.Reads() {
		root, _, _ := strings.Cut(path, ".")
		switch root {
		case "ns", "app", "pod", "node":
			if has[root] == nil {
				return false
			}
		}
	}
	return true
}

// These are the struct types of the planned mesh, as selectors and templates see it.
var appObject, podObject, nodeObject, nsObject = meshObjects()

func meshObjects() (app, pod, node, ns *expr.Object) {
	ns = &expr.Object{Name: "plscript.ns", Fields: []expr.ObjectField{
		field("name", "The namespace's name.", cel.StringType, func(n *Namespace) any { return n.Name }),
		field("index", "Its place among those of its step, from 0.", cel.IntType, func(n *Namespace) any { return int64(n.Index) }),
	}}
	app = &expr.Object{Name: "plscript.app", Fields: []expr.ObjectField{
		field("name", "The app's name, which is also its Service's.", cel.StringType, func(a *App) any { return a.Name }),
		field("namespace", "The name of its namespace.", cel.StringType, func(a *App) any { return a.Namespace.Name }),
		field("index", "Its place among its copies, from 0.", cel.IntType, func(a *App) any { return int64(a.Index) }),
		field("type", "Its type: plain, sidecar, ambient, waypoint, gateway, external, vm.", cel.StringType, func(a *App) any { return string(a.Type) }),
		field("host", "The host of its Service: app.ns.svc.cluster.local; of its ServiceEntry if it is external or a vm.", cel.StringType, func(a *App) any { return a.Host() }),
		field("labels", "The labels of its pods.", cel.MapType(cel.StringType, cel.StringType), func(a *App) any { return a.Labels }),
	}}
	pod = &expr.Object{Name: "plscript.pod", Fields: []expr.ObjectField{
		field("name", "The pod's name.", cel.StringType, func(p *Pod) any { return p.Name() }),
		field("index", "Its place in its app, from 0.", cel.IntType, func(p *Pod) any { return int64(p.ordinal) }),
		field("ip", "Its address.", cel.StringType, func(p *Pod) any { return p.IP() }),
	}}
	node = &expr.Object{Name: "plscript.node", Fields: []expr.ObjectField{
		field("name", "The node's name.", cel.StringType, func(n *Node) any { return n.Name }),
		field("index", "Its place among all nodes, from 0.", cel.IntType, func(n *Node) any { return int64(n.Index) }),
		field("zone", "Its zone.", cel.StringType, func(n *Node) any { return n.Zone }),
	}}
	return app, pod, node, ns
}

func field[T any](name, doc string, t *cel.Type, get func(T) any) expr.ObjectField {
	return expr.ObjectField{Name: name, Doc: doc, Type: t, Get: func(v any) (any, error) {
		x, ok := v.(T)
		if !ok {
			return nil, expr.ErrNoData
		}
		return get(x), nil
	}}
}

// Scene is what a selector is asked about and a template is rendered for. Fields that the scope does not have are nil, and reading them is an error.
type Scene struct {
	Index      int
	Generation int
	Namespace  *Namespace
	App        *App
	Pod        *Pod
	Params     map[string]any
	Rand       *rand.Rand
}

// NamespaceName is the namespace of the scene, "" for that of the whole cluster.
func (s Scene) NamespaceName() string {
	switch {
	case s.Pod != nil:
		return s.Pod.App.Namespace.Name
	case s.App != nil:
		return s.App.Namespace.Name
	case s.Namespace != nil:
		return s.Namespace.Name
	}
	return ""
}

// Vars are the template's variables.
func (s Scene) Vars() map[string]any {
	vars := s.places()
	vars["index"] = int64(s.Index)
	vars["generation"] = int64(s.Generation)
	vars["params"] = s.Params
	vars["__rng"] = rngObject.Value(s.Rand)
	vars["__scene"] = sceneObject.Value(&s)
	return vars
}

// places are ns, app, pod and node, as far as the scene has them.
func (s Scene) places() map[string]any {
	vars := map[string]any{}
	if s.Pod != nil {
		s.App = s.Pod.App
		vars["pod"] = podObject.Value(s.Pod)
		vars["node"] = nodeObject.Value(s.Pod.node)
	}
	if s.App != nil {
		s.Namespace = s.App.Namespace
		vars["app"] = appObject.Value(s.App)
	}
	if s.Namespace != nil {
		vars["ns"] = nsObject.Value(s.Namespace)
	}
	return vars
}
