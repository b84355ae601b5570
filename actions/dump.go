package actions

import (
	"cmp"
	"context"
	_ "embed"
	"io/fs"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed dump.cue
var dumpCUE string

type dump struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Out       string `json:"out"`
}

func (a *dump) Check(_ context.Context, c *runtime.Checker) {
	if a.Out != "" && (!fs.ValidPath(a.Out) || a.Out == ".") {
		c.Errorf("out", "%q is no folder within the run's own: write it like \"envoy\" or \"dumps/web\"", a.Out)
	}
}

func (a *dump) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says("pod " + a.Namespace + "/" + a.Pod + " into " + a.folder(p.Step))
	return nil
}

func (a *dump) Run(ctx context.Context, env *runtime.Env) error {
	if env.Dumps == nil {
		return &runtime.NoServiceError{Need: "look up pods", Hint: "name a cluster with --kubeconfig or --context"}
	}
	return env.Dumps.Dump(ctx, a.Namespace, a.Pod, a.folder(env.Step))
}

func (a *dump) folder(s *ir.Step) string { return cmp.Or(a.Out, stepFile(s)) }
