package runtime

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Scope is what templates are rendered for.
type Scope string

// The scopes.
const (
	ScopeCluster   Scope = "cluster" // once
	ScopeNamespace Scope = "namespace"
	ScopeApp       Scope = "app"
	ScopePod       Scope = "pod"
)

// sampleScene is a scene of the scope in a mesh of one pod.
func sampleScene(scope Scope) (Scene, error) {
	m := NewMesh(1, true)
	ns, err := m.AddNamespace("mesh-0", 0)
	if err != nil {
		return Scene{}, err
	}
	app := m.AddApp(App{Namespace: ns, Name: "app", Type: AppPlain, Account: "default", Labels: map[string]string{"app": "app"}})
	pod, _, err := m.AddPod(app)
	s := Scene{Rand: rand.New(rand.NewPCG(1, 1))}
	switch scope {
	case ScopeNamespace:
		s.Namespace = ns
	case ScopeApp:
		s.App = app
	case ScopePod:
		s.Pod = pod
	}
	return s, err
}

// explain says of a value that the scope does not have that it is so.
func (s Scope) explain(err error) string {
	for _, name := range []string{"ns", "app", "pod", "node"} {
		if strings.HasSuffix(err.Error(), "no such attribute(s): "+name) {
			return fmt.Sprintf("%s is not known in scope %q", name, s)
		}
	}
	return err.Error()
}
