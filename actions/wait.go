package actions

import (
	"context"
	_ "embed"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/expr"
)

//go:embed wait.cue
var waitCUE string

type wait struct {
	Until string `json:"until"`

	cond *expr.Program
}

func (a *wait) Check(_ context.Context, c *runtime.Checker) { a.cond = c.Condition("until", a.Until) }

func (a *wait) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says("until " + a.Until)
	return nil
}

func (a *wait) Run(ctx context.Context, env *runtime.Env) error { return env.Await(ctx, a.cond) }
