package actions

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed connect.cue
var connectCUE string

type connect struct {
	Count          int                `json:"count"`
	Rate           *ir.Rate           `json:"rate"`
	Class          runtime.ProxyClass `json:"class"`
	Name           string             `json:"name"`
	Namespace      string             `json:"namespace"`
	ServiceAccount string             `json:"serviceAccount"`
	Labels         map[string]string  `json:"labels"`
	Metadata       map[string]string  `json:"metadata"`
	Protocol       string             `json:"protocol"`
}

func (a *connect) sotw() bool { return a.Protocol == "sotw" }

// Check finds what only several fields together show.
func (a *connect) Check(_ context.Context, c *runtime.Checker) {
	if a.sotw() && (a.Class == runtime.ClassWaypoint || a.Class == runtime.ClassZtunnel) {
		c.Errorf("protocol", "a %s speaks delta only", a.Class)
	}
	if a.Class == runtime.ClassZtunnel {
		checkZtunnels(c, "class")
	}
}

func (a *connect) Plan(_ context.Context, p *runtime.Planner) error {
	return a.requests().plan(p, func(i int) (runtime.Intent, error) { return a.intent(p.Mesh, i) })
}

func (a *connect) Run(ctx context.Context, env *runtime.Env) error {
	return a.requests().run(ctx, env, func(i int) (runtime.Intent, error) { return a.intent(env.Mesh, i) })
}

func (a *connect) requests() requests {
	return requests{Count: a.Count, Rate: a.Rate, Arrivals: runtime.ArrivalsConstant}
}

// intent plans the stream of that number.
func (a *connect) intent(m *runtime.Mesh, i int) (runtime.Intent, error) {
	proxy := runtime.Proxy{
		Class: a.Class, Namespace: a.Namespace, Name: fmt.Sprintf("%s-%d", cmp.Or(a.Name, string(a.Class)), i),
		ServiceAccount: a.ServiceAccount, App: cmp.Or(a.Name, string(a.Class)), Labels: a.Labels, Metadata: a.Metadata, SotW: a.sotw(),
	}
	if err := m.AddClient(runtime.Client{Class: a.Class, Namespace: a.Namespace, Name: proxy.Name}); err != nil {
		return runtime.Intent{}, err
	}
	return runtime.Intent{
		Kind: string(a.Class), Namespace: a.Namespace, Name: proxy.Name,
		Class: a.Class, Want: func() runtime.Proxy { return proxy },
	}, nil
}
