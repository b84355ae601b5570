package actions

import (
	"context"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// requests is how often a step asks istiod for something: a number of times as fast as it answers, or at a rate.
type requests struct {
	Count    int                `json:"count"`
	Rate     *ir.Rate           `json:"rate"`
	Arrivals runtime.ArrivalLaw `json:"arrivals"`
	Duration ir.Duration        `json:"duration"`
}

// check finds what does not go together.
func (r requests) check(c *runtime.Checker, what string) {
	switch {
	case r.Count == 0 && r.Rate == nil:
		c.Errorf("", "needs `count` or `rate`: how many %s", what)
	case r.Duration > 0 && r.Rate == nil:
		c.Errorf("duration", "needs `rate`: without one, all %s are made as fast as istiod answers", what)
	}
}

// load is the rate of the requests.
func (r requests) load() runtime.Load {
	return runtime.Load{Rate: *r.Rate, Law: r.Arrivals, Duration: r.Duration, Count: r.Count}
}

// plan counts the requests; next plans the one of a number.
func (r requests) plan(p *runtime.Planner, next func(i int) (runtime.Intent, error)) error {
	return r.planEach(p, single(next))
}

// planEach is plan for requests of several parts, or none.
func (r requests) planEach(p *runtime.Planner, next func(i int) ([]runtime.Intent, error)) error {
	if r.Rate != nil {
		return p.Arrive(r.load(), next)
	}
	return p.Do(r.all(next))
}

// run makes the requests that plan counts.
func (r requests) run(ctx context.Context, env *runtime.Env, next func(i int) (runtime.Intent, error)) error {
	return r.runEach(ctx, env, single(next))
}

// runEach makes the requests that planEach counts.
func (r requests) runEach(ctx context.Context, env *runtime.Env, next func(i int) ([]runtime.Intent, error)) error {
	if r.Rate != nil {
		return env.Arrive(ctx, r.load(), next)
	}
	return env.Execute(ctx, r.all(next))
}

func (r requests) all(next func(int) ([]runtime.Intent, error)) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for i := range r.Count {
			intents, err := next(i)
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			for _, in := range intents {
				if !yield(in, nil) {
					return
				}
			}
		}
	}
}

// single has each arrival do one thing.
func single(next func(int) (runtime.Intent, error)) func(int) ([]runtime.Intent, error) {
	return func(i int) ([]runtime.Intent, error) {
		in, err := next(i)
		return []runtime.Intent{in}, err
	}
}
