package runtime

import (
	"context"
	"fmt"
	"strconv"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/expr"
)

// Graph is a scenario ready to be planned and run.
type Graph struct {
	Scenario *ir.Scenario
	// Certify says that the target's proxies ask for certificates where the scenario leaves it open, as all do but those
	// that speak plaintext. It may be set before the graph is planned or run.
	Certify bool

	lang       *Language
	phases     []*phase // in the file's order
	thresholds []threshold
	params     map[string]any
	inputs     Inputs
}

type phase struct {
	*ir.Phase
	steps []*step
}

type step struct {
	*ir.Step
	phase  *phase
	action Action
	when   *expr.Program
}

type threshold struct {
	*ir.Threshold
	prog *expr.Program
}

// Compile type-checks every expression of s and builds its graph. The graph is nil if there are diagnostics. s may be
// a scenario that lang had diagnostics for: what it could decode is checked, so that one run shows all mistakes.
//
// in opens the files that steps name; nil if there are none to open.
func Compile(ctx context.Context, s *ir.Scenario, in Inputs) (*Graph, ir.Diagnostics) {
	l, err := NewLanguage()
	if err != nil {
		return nil, ir.Diagnostics{{Pos: ir.Pos{File: s.File}, Code: ir.CodeInternal, Message: err.Error()}}
	}
	l.certs.seed, l.phases = s.Seed, phaseNames(s)
	g := &Graph{Scenario: s, lang: l, params: paramValues(s.Params), inputs: in}
	var ds ir.Diagnostics
	for _, p := range s.Phases {
		ph := &phase{Phase: p}
		g.phases = append(g.phases, ph)
		for _, st := range p.Steps {
			n, found := compileStep(ctx, &Checker{Inputs: in, Cluster: s.Cluster, Sandbox: s.Sandbox, step: st, lang: l, params: g.params})
			ds = append(ds, found...)
			n.phase = ph
			ph.steps = append(ph.steps, n)
		}
	}
	for _, t := range s.Thresholds {
		prog, problems := l.Condition(t.Expr)
		for _, pr := range problems {
			ds = append(ds, ir.Diagnostic{Pos: t.Source.At(pr.Offset), Code: ir.CodeExpression, Path: t.Path + ".expr", Message: pr.Message, Suggestion: pr.Suggestion})
		}
		g.thresholds = append(g.thresholds, threshold{t, prog})
	}
	if len(ds) > 0 {
		return nil, ds.Sort()
	}
	return g, nil
}

// phaseNames are those of all phases; nil if one has none, which lang has reported.
func phaseNames(s *ir.Scenario) []string {
	var names []string
	for _, p := range s.Phases {
		if p.Name == "" {
			return nil
		}
		names = append(names, p.Name)
	}
	return names
}

func compileStep(ctx context.Context, c *Checker) (*step, ir.Diagnostics) {
	st := c.step
	n := &step{Step: st}
	if st.When != "" {
		n.when = c.Condition("when", st.When)
	}
	action, ok := st.Body.(Action)
	if !ok {
		c.Errorf("", "%s is declared but cannot be run", st.Kind)
		return n, c.diagnostics
	}
	n.action = action
	if checked, ok := action.(Checked); ok {
		checked.Check(ctx, c)
	}
	return n, c.diagnostics
}

// Plan works out what a run will do, without doing any of it: the very choices that the run makes, from the same seed.
// The diagnostics are those that only the whole shows, such as more pods than nodes take.
func (g *Graph) Plan(ctx context.Context) (*Plan, ir.Diagnostics) {
	mesh := g.newMesh()
	plan := &Plan{Scenario: g.Scenario, Proxies: map[ProxyClass]int64{}}
	for _, ph := range g.order() {
		pp := &PhasePlan{Name: ph.Name, After: ph.After, Parallel: ph.Parallel}
		plan.Phases = append(plan.Phases, pp)
		for _, st := range ph.steps {
			sp := &StepPlan{
				Name: st.Name, Kind: st.Kind, Pos: st.Pos, When: st.When, Background: st.Background,
				writes: map[WriteKey]int64{}, derived: map[WriteKey]int64{}, Streams: map[ProxyClass]int64{}, Calls: map[Stage]int64{},
			}
			pp.Steps = append(pp.Steps, sp)
			when, what := stepRand(g.Scenario.Seed, ph.Name, st.Index)
			p := &Planner{Mesh: mesh, Rand: what, Params: g.params, Inputs: g.inputs, Step: st.Step, when: when, step: sp, plan: plan, Proxies: g.Scenario.Proxies}
			if err := st.action.Plan(ctx, p); err != nil {
				return nil, ir.Diagnostics{{Pos: st.Pos, Code: ir.CodePlan, Path: st.Path, Message: err.Error()}}
			}
		}
	}
	plan.Population = mesh.Population()
	if mesh.autoNodes {
		plan.AutoNodes = plan.Population.Nodes
	}
	return plan, nil
}

// order returns the phases so that each comes after those it waits for, otherwise as in the file.
func (g *Graph) order() []*phase {
	var out []*phase
	placed := map[string]bool{}
	for len(out) < len(g.phases) {
		before := len(out)
		for _, ph := range g.phases {
			if !placed[ph.Name] && all(ph.After, placed) {
				placed[ph.Name] = true
				out = append(out, ph)
			}
		}
		if len(out) == before {
			break // a cycle; lang has reported it
		}
	}
	return out
}

func all(names []string, in map[string]bool) bool {
	for _, n := range names {
		if !in[n] {
			return false
		}
	}
	return true
}

// MakesNodes is implemented by actions that create nodes: a scenario with none of them gets plain ones as needed.
type MakesNodes interface {
	MakesNodes()
}

func (g *Graph) newMesh() *Mesh {
	auto := true
	for _, ph := range g.phases {
		for _, st := range ph.steps {
			if _, ok := st.action.(MakesNodes); ok {
				auto = false
			}
		}
	}
	m := NewMesh(g.Scenario.Seed, auto)
	m.Certify, m.Cluster, m.GracePeriod = g.Certify, g.Scenario.Cluster, g.Scenario.Kubelet.GracePeriod()
	return m
}

// stepError is a step's failure with its place in the file.
type stepError struct {
	step *step
	err  error
}

func (e *stepError) Error() string {
	return fmt.Sprintf("%s: %s: %s: %v", e.step.Pos, e.step.Path, e.step.Name, e.err)
}

func (e *stepError) Unwrap() error { return e.err }

// paramValues are the parameters as templates see them.
func paramValues(params []ir.Param) map[string]any {
	out := map[string]any{}
	for _, p := range params {
		var v any = p.Value
		switch p.Type {
		case "int":
			if n, err := strconv.ParseInt(p.Value, 0, 64); err == nil {
				v = n
			}
		case "number":
			if f, err := strconv.ParseFloat(p.Value, 64); err == nil {
				v = f
			}
		case "bool":
			v = p.Value == "true"
		}
		out[p.Name] = v
	}
	return out
}
