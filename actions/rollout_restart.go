package actions

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed rollout_restart.cue
var rolloutRestartCUE string

type rolloutRestart struct {
	Select         string             `json:"select"`
	MaxUnavailable intstr.IntOrString `json:"maxUnavailable"`
	MaxSurge       intstr.IntOrString `json:"maxSurge"`
	Parallel       int                `json:"parallel"`
	MinReady       ir.Duration        `json:"minReady"`

	selector *runtime.Selector
}

func (a *rolloutRestart) Check(_ context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
}

func (a *rolloutRestart) Plan(ctx context.Context, p *runtime.Planner) error {
	return a.roll(ctx, p.Mesh, time.Time{}, alone, func(w wave) error {
		if len(w.fresh) > 0 {
			p.Takes(a.MinReady.Std())
		}
		return p.Do(listed(slices.Concat(w.first, w.create, w.last)))
	})
}

func (a *rolloutRestart) Run(ctx context.Context, env *runtime.Env) error {
	return a.roll(ctx, env.Mesh, env.Clock.Now(), env.Choose, func(w wave) error {
		defer env.Release(w.create)
		if err := env.Execute(ctx, listed(slices.Concat(w.first, w.create))); err != nil {
			return err
		}
		if ready := env.Services.Readiness; ready != nil {
			if err := ready.AwaitReady(ctx, w.fresh); err != nil {
				return err
			}
		}
		if err := env.Clock.Sleep(ctx, a.MinReady.Std()); err != nil {
			return err
		}
		return env.Execute(ctx, listed(w.last))
	})
}

// wave is what is replaced at the same time: pods of one app, or of several that are restarted together.
type wave struct {
	first  []runtime.Intent // deletes pods that may be missing
	create []runtime.Intent
	fresh  []string         // the new pods, which then have to be ready
	last   []runtime.Intent // deletes the others
}

// roll plans one wave after another and hands each to do. It replaces the pods that are planned when it begins.
func (a *rolloutRestart) roll(ctx context.Context, m *runtime.Mesh, now time.Time, choose chooser, do func(wave) error) error {
	places, err := m.Places(ctx, a.selector)
	if err != nil {
		return fmt.Errorf("select: %w", err)
	}
	apps := placesByApp(places)
	if len(apps) == 0 {
		return errNoPods
	}
	for len(apps) > 0 {
		n := min(len(apps), a.Parallel)
		if err := a.together(m, apps[:n], now, choose, do); err != nil {
			return err
		}
		apps = apps[n:]
	}
	return nil
}

// together restarts some apps at the same time.
func (a *rolloutRestart) together(m *runtime.Mesh, apps [][]runtime.Place, now time.Time, choose chooser, do func(wave) error) error {
	limits := make([]rolloutLimits, len(apps))
	for i, app := range apps {
		limits[i] = a.limits(len(app))
	}
	for left := true; left; {
		var w wave
		_, err := choose(func() (create []runtime.Intent, err error) {
			w, left, err = nextWave(m, apps, limits, now)
			return w.create, err
		})
		if err != nil {
			return err
		}
		if err := do(w); err != nil {
			return err
		}
	}
	return nil
}

// nextWave takes the next places of each app, and reports whether any are left.
func nextWave(m *runtime.Mesh, apps [][]runtime.Place, limits []rolloutLimits, now time.Time) (w wave, left bool, err error) {
	for i := range apps {
		n := min(len(apps[i]), limits[i].unavailable+limits[i].surge)
		for j, at := range apps[i][:n] {
			if err := w.replace(m, at, j < limits[i].unavailable, now); err != nil {
				return w, false, err
			}
		}
		apps[i] = apps[i][n:]
		left = left || len(apps[i]) > 0
	}
	return w, left, nil
}

// chooser carries out the choice of what to create: see [runtime.Env.Choose].
type chooser func(func() ([]runtime.Intent, error)) ([]runtime.Intent, error)

// each yields what is chosen, and reports whether to go on.
func (c chooser) each(yield func(runtime.Intent, error) bool, choose func() ([]runtime.Intent, error)) bool {
	intents, err := c(choose)
	if err != nil {
		yield(runtime.Intent{}, err)
		return false
	}
	for _, in := range intents {
		if !yield(in, nil) {
			return false
		}
	}
	return true
}

// alone is the chooser of a plan, in which nothing else happens at the same time.
func alone(choose func() ([]runtime.Intent, error)) ([]runtime.Intent, error) { return choose() }

// rolloutLimits are how many of an app's pods may be missing, and be too many.
type rolloutLimits struct{ unavailable, surge int }

// limits resolves the limits for an app of that many pods as the Deployment controller does (Kubernetes,
// pkg/controller/deployment/util, ResolveFenceposts).
func (a *rolloutRestart) limits(pods int) rolloutLimits {
	surge, errSurge := intstr.GetScaledValueFromIntOrPercent(&a.MaxSurge, pods, true)
	unavailable, errUnavailable := intstr.GetScaledValueFromIntOrPercent(&a.MaxUnavailable, pods, false)
	if errSurge != nil || errUnavailable != nil || surge == 0 && unavailable == 0 {
		return rolloutLimits{unavailable: 1, surge: max(0, surge)}
	}
	return rolloutLimits{unavailable: min(unavailable, pods), surge: min(surge, pods)}
}

// replace plans another pod for the place. The old one goes first if it may be missing, else when the new one is ready.
func (w *wave) replace(m *runtime.Mesh, at runtime.Place, missing bool, now time.Time) error {
	gone, pod, added, err := m.Replace(at)
	if err != nil || pod == nil {
		return err
	}
	create := podIntents(pod, added, podSettings{}, now)
	create[len(create)-1].Change = endpointChange(pod, false)
	remove := podGone(gone)
	if missing {
		w.first = append(w.first, remove)
	} else {
		w.last = append(w.last, remove)
	}
	w.create = append(w.create, create...)
	w.fresh = append(w.fresh, pod.Key())
	return nil
}

// placesByApp groups places, in their order.
func placesByApp(places []runtime.Place) [][]runtime.Place {
	var out [][]runtime.Place
	for _, p := range places {
		if n := len(out); n > 0 && out[n-1][0].App() == p.App() {
			out[n-1] = append(out[n-1], p)
			continue
		}
		out = append(out, []runtime.Place{p})
	}
	return out
}

// listed is a list as what actions yield.
func listed(intents []runtime.Intent) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for _, in := range intents {
			if !yield(in, nil) {
				return
			}
		}
	}
}
