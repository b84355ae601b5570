package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed churn_config.cue
var churnConfigCUE string

type churnConfig struct {
	Rate     ir.Rate            `json:"rate"`
	Arrivals runtime.ArrivalLaw `json:"arrivals"`
	Duration ir.Duration        `json:"duration"`
	Of       []configKind       `json:"of"`
	Select   string             `json:"select"`

	selector *runtime.Selector
}

type configKind struct {
	Kind   string `json:"kind"`
	Weight int    `json:"weight"`
}

func (a *churnConfig) Check(_ context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
}

func (a *churnConfig) load() runtime.Load {
	return runtime.Load{Rate: a.Rate, Law: a.Arrivals, Duration: a.Duration}
}

func (a *churnConfig) Plan(ctx context.Context, p *runtime.Planner) error {
	next, err := a.updates(ctx, p.Mesh, p.Rand)
	if err != nil {
		return err
	}
	return p.Arrive(a.load(), next)
}

func (a *churnConfig) Run(ctx context.Context, env *runtime.Env) error {
	next, err := a.updates(ctx, env.Mesh, env.Rand)
	if err != nil {
		return err
	}
	return env.Arrive(ctx, a.load(), next)
}

var (
	errNoConfig = errors.New("there is no object to update: nothing was applied before this step")
	errSelected = errors.New("select: it holds for no object that was applied before this step")
)

// updates returns what each arrival does. The objects are chosen once, so that a run plans the same operations however
// fast they are carried out.
func (a *churnConfig) updates(ctx context.Context, m *runtime.Mesh, r *rand.Rand) (func(int) ([]runtime.Intent, error), error) {
	selected, err := a.selected(ctx, m.Configs())
	if err != nil {
		return nil, err
	}
	groups, total, err := a.groups(selected)
	if err != nil {
		return nil, err
	}
	return func(int) ([]runtime.Intent, error) {
		n := r.IntN(total)
		for _, g := range groups {
			if n -= g.weight; n < 0 {
				return update(ctx, m, g.configs[r.IntN(len(g.configs))], r)
			}
		}
		return nil, nil
	}, nil
}

// selected are the objects whose scene the selector holds for. One that was rendered for a scene without what the
// selector reads, such as the app of an object of the cluster, is not meant.
func (a *churnConfig) selected(ctx context.Context, all []*runtime.Config) ([]*runtime.Config, error) {
	if len(all) == 0 {
		return nil, errNoConfig
	}
	var out []*runtime.Config
	for _, c := range all {
		if !a.selector.Fits(c.Scene) {
			continue
		}
		ok, err := a.selector.Matches(ctx, c.Scene)
		if err != nil {
			return nil, fmt.Errorf("select: %w", err)
		}
		if ok {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, errSelected
	}
	return out, nil
}

// configGroup are objects that are drawn with one weight together.
type configGroup struct {
	weight  int
	configs []*runtime.Config
}

// groups are the kinds asked for, or one of everything.
func (a *churnConfig) groups(all []*runtime.Config) (groups []configGroup, total int, err error) {
	if len(a.Of) == 0 {
		return []configGroup{{1, all}}, 1, nil
	}
	for _, k := range a.Of {
		g := configGroup{weight: k.Weight}
		for _, c := range all {
			if c.Key.Kind == k.Kind {
				g.configs = append(g.configs, c)
			}
		}
		if len(g.configs) == 0 {
			if a.Select != "" {
				return nil, 0, fmt.Errorf("of: select holds for no %s that was applied before this step", k.Kind)
			}
			return nil, 0, fmt.Errorf("of: no %s was applied before this step", k.Kind)
		}
		groups = append(groups, g)
		total += g.weight
	}
	return groups, total, nil
}

// update renders an object again. It must come out under the same name, or it would be another object.
func update(ctx context.Context, m *runtime.Mesh, c *runtime.Config, r *rand.Rand) ([]runtime.Intent, error) {
	scene, ok := m.Renew(c)
	if !ok {
		return nil, nil
	}
	scene.Rand = r
	o, key, err := renderObject(ctx, c.Template, scene)
	if err != nil {
		return nil, err
	}
	if key != c.Key {
		return nil, fmt.Errorf("%s %s is called %s when it is rendered again: its name and namespace must not depend on rand, pick or generation",
			c.Key.Kind, c.Key.Name, key.Name)
	}
	return []runtime.Intent{follow(objectIntent(runtime.VerbUpdate, o, key), o, key, nil)}, nil
}
