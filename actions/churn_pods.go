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

	selector *runtime.Selector
}

func (a *churnPods) Check(c *runtime.Checker) { a.selector = c.Selector("select", a.Select) }

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
	return func(int) ([]runtime.Intent, error) {
		gone, pod, added, err := m.Replace(places[r.IntN(len(places))])
		if err != nil || pod == nil {
			return nil, err
		}
		create, remove := podIntents(pod, added, now), podGoneIntent(gone)
		create[len(create)-1].Change = endpointChange(pod, false)
		remove.Change = endpointChange(gone, true)
		if a.Order == "oldFirst" {
			return slices.Concat([]runtime.Intent{remove}, create), nil
		}
		return append(create, remove), nil
	}, nil
}

// endpointChange is the change that the pod's address makes to the endpoints of its app's Service.
func endpointChange(pod *runtime.Pod, removed bool) func() runtime.Change {
	return func() runtime.Change {
		return runtime.Change{
			Kind: runtime.ChangeEndpoint, Hosts: []string{pod.App.Host()}, Marker: pod.IP(), Workload: pod.Key(), Removed: removed,
		}
	}
}
