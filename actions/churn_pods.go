package actions

import (
	"context"
	_ "embed"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed churn_pods.cue
var churnPodsCUE string

type churnPods struct {
	Rate     ir.Rate            `json:"rate"`
	Arrivals runtime.ArrivalLaw `json:"arrivals"`
	Duration ir.Duration        `json:"duration"`
	Select   string             `json:"select"`
	Order    string             `json:"order"`
	Unit     string             `json:"unit"`
	Percent  int                `json:"percent"`
	podSettings

	selector *runtime.Selector
}

func (a *churnPods) Check(_ context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
	if a.Unit == "pod" && a.Percent < 100 {
		c.Errorf("percent", "is a part of an app or a namespace, and an arrival replaces one pod: say which of the two with `unit`")
	}
}

func (a *churnPods) load() runtime.Load {
	return runtime.Load{Rate: a.Rate, Law: a.Arrivals, Duration: a.Duration}
}

func (a *churnPods) Plan(ctx context.Context, p *runtime.Planner) error {
	next, err := a.replacements(ctx, p.Mesh, p.Rand, time.Time{})
	if err != nil {
		return err
	}
	return p.Arrive(a.load(), next)
}

func (a *churnPods) Run(ctx context.Context, env *runtime.Env) error {
	next, err := a.replacements(ctx, env.Mesh, env.Rand, env.Clock.Now())
	if err != nil {
		return err
	}
	return env.Arrive(ctx, a.load(), next)
}

var errNoPods = errors.New("there is no pod to replace: nothing that was planned before this step is selected")

// replacements returns what each arrival does. The places are chosen once, so that a run plans the same operations
// however fast they are carried out.
func (a *churnPods) replacements(ctx context.Context, m *runtime.Mesh, r *rand.Rand, now time.Time) (func(int) ([]runtime.Intent, error), error) {
	places, err := m.Places(ctx, a.selector)
	if err != nil {
		return nil, err
	}
	if len(places) == 0 {
		return nil, errNoPods
	}
	if a.Unit == "pod" {
		return func(int) ([]runtime.Intent, error) {
			i := r.IntN(len(places))
			return a.replace(m, places[i:i+1], now)
		}, nil
	}
	units := a.units(places)
	return func(int) ([]runtime.Intent, error) {
		unit := units[r.IntN(len(units))]
		if n := max(1, len(unit)*a.Percent/100); n < len(unit) {
			unit = pick(unit, n, r)
		}
		return a.replace(m, unit, now)
	}, nil
}

// units groups the places that one arrival replaces together: those of an app or a namespace.
func (a *churnPods) units(places []runtime.Place) [][]runtime.Place {
	var out [][]runtime.Place
	index := map[any]int{}
	for _, p := range places {
		var key any = p.App()
		if a.Unit == "namespace" {
			key = p.App().Namespace
		}
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], p)
	}
	return out
}

// pick draws n of the places.
func pick(places []runtime.Place, n int, r *rand.Rand) []runtime.Place {
	out := slices.Clone(places)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:n]
}

// replace plans new pods for the places and returns the writes, in the order that the step wants.
func (a *churnPods) replace(m *runtime.Mesh, places []runtime.Place, now time.Time) ([]runtime.Intent, error) {
	var create, remove []runtime.Intent
	for _, at := range places {
		gone, pod, added, err := m.Replace(at)
		if err != nil {
			return nil, err
		}
		if pod == nil {
			continue
		}
		in := podIntents(pod, added, a.podSettings, now)
		in[len(in)-1].Change = endpointChange(pod, false)
		create = append(create, in...)
		remove = append(remove, podGone(gone))
	}
	first, second := create, remove
	if a.Order == "oldFirst" {
		first, second = remove, create
	}
	if len(first) > 0 {
		first[len(first)-1].Barrier = true
	}
	return append(first, second...), nil
}

// endpointChange is the change that the pod's address makes to the endpoints of its app's Service.
func endpointChange(pod *runtime.Pod, removed bool) func() runtime.Change {
	return func() runtime.Change {
		return runtime.Change{
			Kind: runtime.ChangeEndpoint, Hosts: []string{pod.App.Host()}, Marker: pod.IP(), Workload: pod.Key(), Removed: removed,
		}
	}
}
