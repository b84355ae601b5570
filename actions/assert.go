package actions

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/expr"
)

//go:embed assert.cue
var assertCUE string

type assert struct {
	Expr string `json:"expr"`

	cond *expr.Program
}

func (a *assert) Check(_ context.Context, c *runtime.Checker) { a.cond = c.Condition("expr", a.Expr) }

func (a *assert) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says(a.Expr)
	return nil
}

func (a *assert) Run(ctx context.Context, env *runtime.Env) error {
	ok, values, err := env.Test(ctx, a.cond)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w; values: %s", a.Expr, err, runtime.FormatValues(values))
	case !ok:
		return fmt.Errorf("%s is false; values: %s", a.Expr, runtime.FormatValues(values))
	}
	return nil
}
