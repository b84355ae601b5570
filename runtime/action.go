package runtime

import (
	"context"
	"log/slog"
	"math/rand/v2"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/expr"
)

// Action is what a step does. The struct it is implemented on is decoded from the scenario file.
type Action interface {
	// Plan says what Run will do, by the same choices, and touches nothing.
	Plan(context.Context, *Planner) error
	// Run does it. It returns ctx's error when it was cancelled.
	Run(ctx context.Context, env *Env) error
}

// Checked is implemented by actions that hold expressions or rules which CUE cannot check.
type Checked interface {
	Check(context.Context, *Checker)
}

// Env is what an action sees of a run.
type Env struct {
	RunID   string
	Step    *ir.Step
	Rand    *rand.Rand // the step's own generator
	Clock   Clock
	Mesh    *Mesh
	Writer  Writer
	Proxies Proxies
	Changes Changes
	Log     *slog.Logger
	Params  map[string]any // the scenario's parameters, for templates
	Limits  Limits
	Stages  *Stages // counts and times what is neither a write nor a push
	Services

	when     *rand.Rand // draws when arrivals come
	state    *state
	calls    *calls
	holds    *holds
	arrivals *arrivals // of the rate step, nil for any other
}

// Limits are the bounds of rate steps.
type Limits struct {
	MaxPending  int
	MaxLateness ir.Duration
}

// Await blocks until the condition is true. When ctx ends first, the error says what the condition read last.
func (e *Env) Await(ctx context.Context, cond *expr.Program) error { return e.state.await(ctx, cond) }

// Test evaluates the condition once. Without data the error is [expr.ErrNoData]; values are what it read.
func (e *Env) Test(ctx context.Context, cond *expr.Program) (ok bool, values map[string]string, err error) {
	return e.state.test(ctx, cond)
}

// Checker collects the mistakes of one step's expressions.
type Checker struct {
	Inputs  Inputs         // nil if the scenario can name no files
	Cluster ir.ClusterMode // what the target has of a cluster
	Sandbox ir.Sandbox     // which a run without a target gets

	step        *ir.Step
	lang        *Language
	params      map[string]any
	diagnostics ir.Diagnostics
}

// Condition compiles the CEL condition in field; nil after a mistake. An empty text is one that lang has reported.
func (c *Checker) Condition(field, text string) *expr.Program {
	if text == "" {
		return nil
	}
	p, problems := c.lang.Condition(text)
	for _, pr := range problems {
		c.problem(field, pr)
	}
	return p
}

// Selector compiles the CEL selector in field; an empty text selects everything.
func (c *Checker) Selector(field, text string) *Selector {
	if text == "" {
		return nil
	}
	s, problems := c.lang.Selector(text)
	for _, pr := range problems {
		c.problem(field, pr)
	}
	return s
}

// Template compiles the object template in field; false after a mistake.
func (c *Checker) Template(field string, tree any) (*expr.Template, bool) {
	t, problems := c.lang.Template(tree)
	for _, pr := range problems {
		c.problem(field+"."+pr.Path, pr.Problem)
	}
	return t, len(problems) == 0
}

// Errorf reports a mistake in field.
func (c *Checker) Errorf(field, format string, args ...any) {
	c.diagnostics = append(c.diagnostics, stepDiagnostic(ir.CodePlan, c.step, field, 0, sprintf(format, args...), ""))
}

func (c *Checker) problem(field string, p expr.Problem) {
	c.diagnostics = append(c.diagnostics, stepDiagnostic(ir.CodeExpression, c.step, field, p.Offset, p.Message, p.Suggestion))
}

func stepDiagnostic(code ir.Code, s *ir.Step, field string, offset int, msg, suggestion string) ir.Diagnostic {
	path := s.Path
	if field != "" {
		path += "." + field
	}
	return ir.Diagnostic{Pos: s.Source(field).At(offset), Code: code, Path: path, Message: msg, Suggestion: suggestion}
}
