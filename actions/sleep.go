package actions

import (
	"context"
	_ "embed"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed sleep.cue
var sleepCUE string

type sleep struct {
	For ir.Duration `json:"for"`
}

func (a *sleep) Plan(_ context.Context, p *runtime.Planner) error {
	p.Takes(a.For.Std())
	return nil
}

func (a *sleep) Run(ctx context.Context, env *runtime.Env) error {
	return env.Clock.Sleep(ctx, a.For.Std())
}
