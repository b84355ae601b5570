package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/expr"
	"github.com/plscript/plscript/runtime/kinds"
)

// Sample renders a template, compiled from field, once for a made-up scene of the scope, and checks the object against
// the Go types of its kind. Of a scope that is none of the four, which lang has reported, nothing can be said.
func (c *Checker) Sample(ctx context.Context, field string, t *expr.Template, scope Scope) {
	if scope == "" {
		return
	}
	scene, err := sampleScene(scope)
	if err != nil {
		c.Errorf(field, "%v", err)
		return
	}
	scene.Params = c.params
	v, failed := t.Sample(ctx, scene.Vars())
	unknown := map[string]bool{}
	for _, hole := range failed {
		unknown[hole.Path] = true
		if errors.Is(hole.Err, expr.ErrNotCompiled) {
			continue
		}
		if code, p := c.explain(hole, scope); code != "" {
			c.diagnostics = append(c.diagnostics, stepDiagnostic(code, c.step, field+"."+hole.Path, p.Offset, p.Message, p.Suggestion))
		}
	}
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	for _, p := range kinds.Check(object) {
		if unknown[p.Path] {
			continue
		}
		if text, ok := t.Hole(p.Path); ok && p.Code == ir.CodeType && strings.HasPrefix(p.Message, "want a string") && scalar.MatchString(p.Message) {
			p.Suggestion = "${string(" + text + ")}"
		}
		path := field
		if p.Path != "" {
			path += "." + p.Path
		}
		c.diagnostics = append(c.diagnostics, stepDiagnostic(p.Code, c.step, path, 0, p.Message, p.Suggestion))
	}
}

// Object checks an object that the step makes without a template: its name and its labels, and whether its kind exists. field
// is the step's field that what stands at a path of the object comes from.
func (c *Checker) Object(object map[string]any, field func(path string) string) {
	for _, p := range kinds.Check(object) {
		c.diagnostics = append(c.diagnostics, stepDiagnostic(p.Code, c.step, field(p.Path), 0, p.Message, p.Suggestion))
	}
}

// scalar matches what the function string can make a text of.
var scalar = regexp.MustCompile(`, got an? (int|float|bool)$`)

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

// explain puts into words why a hole of the sample cannot be rendered. There is no code if other scenes may well have what
// the sample lacks, as apps have labels of their own.
func (c *Checker) explain(hole *expr.RenderError, scope Scope) (ir.Code, expr.Problem) {
	p := expr.Problem{Offset: hole.Offset, Message: hole.Err.Error()}
	for _, name := range []string{"ns", "app", "pod", "node"} {
		if strings.HasSuffix(p.Message, "no such attribute(s): "+name) {
			p.Message = fmt.Sprintf("%s is not known in scope %q", name, scope)
			return ir.CodePlan, p // it may be the scope that is wrong
		}
	}
	key, missing := strings.CutPrefix(p.Message, "no such key: ")
	switch {
	case !missing:
	case strings.Contains(hole.Text, "params"):
		p.Message = fmt.Sprintf("there is no parameter %q", key)
		p.Suggestion = ir.Nearest(key, slices.Sorted(maps.Keys(c.params)))
		p.Offset += max(0, strings.Index(hole.Text, key))
	case strings.Contains(hole.Text, "labels"):
		return "", p
	}
	return ir.CodeExpression, p
}
