package actions

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/plscript/plscript/runtime"
)

//go:embed scale.cue
var scaleCUE string

type scale struct {
	Select string `json:"select"`
	To     *int   `json:"to"`
	By     *int   `json:"by"`
	podSettings

	selector *runtime.Selector
}

func (a *scale) Check(_ context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
	switch {
	case a.To == nil && a.By == nil:
		c.Errorf("", "needs `to` or `by`: how many pods each app has then, or gets more")
	case a.To != nil && a.By != nil:
		c.Errorf("by", "cannot go with `to`")
	}
}

func (a *scale) Plan(ctx context.Context, p *runtime.Planner) error {
	apps, err := a.apps(ctx, p.Mesh)
	if err == nil && len(apps) == 0 && a.Select != "" {
		err = errNoneSelected
	}
	if err != nil {
		return err
	}
	return p.Do(a.intents(ctx, p.Mesh, time.Time{}, alone))
}

func (a *scale) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(ctx, env.Mesh, env.Clock.Now(), env.Choose))
}

func (a *scale) intents(ctx context.Context, m *runtime.Mesh, now time.Time, choose chooser) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		apps, err := a.apps(ctx, m)
		if err != nil {
			yield(runtime.Intent{}, err)
			return
		}
		for _, app := range apps {
			if app.Type.InCluster() && !a.app(m, app, now, choose, yield) {
				return
			}
		}
	}
}

// apps are those that are selected.
func (a *scale) apps(ctx context.Context, m *runtime.Mesh) (out []*runtime.App, err error) {
	for _, ns := range m.Namespaces() {
		for _, app := range m.Apps(ns) {
			ok, err := a.selector.Matches(ctx, runtime.Scene{App: app})
			if err != nil {
				return nil, fmt.Errorf("select: %w", err)
			}
			if ok {
				out = append(out, app)
			}
		}
	}
	return out, nil
}

// app yields the writes that scale one app, and reports whether to go on.
func (a *scale) app(m *runtime.Mesh, app *runtime.App, now time.Time, choose chooser, yield func(runtime.Intent, error) bool) bool {
	have := len(m.Pods(app))
	want := have
	if a.To != nil {
		want = *a.To
	} else {
		want = max(0, want+*a.By)
	}
	for range want - have {
		if !choose.each(yield, func() ([]runtime.Intent, error) { return a.another(m, app, now) }) {
			return false
		}
	}
	for range have - want {
		pod := m.RemoveNewest(app)
		if pod == nil {
			return true // another step has removed it meanwhile
		}
		if !yield(podGone(pod), nil) {
			return false
		}
	}
	return true
}

// another plans a pod more, unless another step has planned the end of the app.
func (a *scale) another(m *runtime.Mesh, app *runtime.App, now time.Time) ([]runtime.Intent, error) {
	pod, added, err := m.AddPod(app)
	if err != nil || pod == nil {
		return nil, err
	}
	intents := podIntents(pod, added, a.podSettings, now)
	intents[len(intents)-1].Change = endpointChange(pod, false)
	return intents, nil
}
