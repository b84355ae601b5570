package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed disconnect.cue
var disconnectCUE string

type disconnect struct {
	Count    int                `json:"count"`
	Fraction float64            `json:"fraction"`
	Rate     *ir.Rate           `json:"rate"`
	Select   string             `json:"select"`
	Class    runtime.ProxyClass `json:"class"`

	selector *runtime.Selector
}

// Check finds what only several fields together show.
func (a *disconnect) Check(_ context.Context, c *runtime.Checker) {
	a.selector = c.Selector("select", a.Select)
	switch {
	case a.Count == 0 && a.Fraction == 0:
		c.Errorf("", "needs `count` or `fraction`: how many streams to break")
	case a.Count > 0 && a.Fraction > 0:
		c.Errorf("fraction", "cannot go with `count`")
	}
}

func (a *disconnect) Plan(ctx context.Context, p *runtime.Planner) error {
	victims, err := a.victims(ctx, p.Mesh, p.Rand)
	if err != nil {
		return err
	}
	return a.requests(victims).plan(p, breaking(victims))
}

func (a *disconnect) Run(ctx context.Context, env *runtime.Env) error {
	victims, err := a.victims(ctx, env.Mesh, env.Rand)
	if err != nil {
		return err
	}
	return a.requests(victims).run(ctx, env, breaking(victims))
}

func (a *disconnect) requests(victims []stream) requests {
	return requests{Count: len(victims), Rate: a.Rate, Arrivals: runtime.ArrivalsConstant}
}

// breaking breaks the victims in turn.
func breaking(victims []stream) func(int) (runtime.Intent, error) {
	return func(i int) (runtime.Intent, error) {
		v := victims[i]
		return runtime.Intent{
			Kind: string(v.Class), Namespace: v.namespace, Name: v.name,
			Disconnect: []runtime.ProxyKey{{Class: v.Class, Key: v.namespace + "/" + v.name}},
		}, nil
	}
}

var errNoStreams = errors.New("there is no stream to break: nothing that was planned before this step is selected")

// victims draws the streams to break from those that are planned now, each once.
func (a *disconnect) victims(ctx context.Context, m *runtime.Mesh, r *rand.Rand) ([]stream, error) {
	all, err := plannedStreams(ctx, m, a.selector)
	if err != nil {
		return nil, err
	}
	var of []stream
	for _, s := range all {
		if a.Class == "" || s.Class == a.Class {
			of = append(of, s)
		}
	}
	n := a.Count
	if a.Fraction > 0 {
		n = int(math.Ceil(a.Fraction * float64(len(of))))
	}
	switch {
	case len(of) == 0:
		return nil, errNoStreams
	case n > len(of):
		return nil, fmt.Errorf("there are only %d streams to break: `count` is %d", len(of), n)
	}
	r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:n], nil
}

// stream is a planned XDS stream.
type stream struct {
	Class           runtime.ProxyClass
	namespace, name string
}

// plannedStreams are those of the pods that sel selects; of all pods, node agents and clients if sel is nil.
func plannedStreams(ctx context.Context, m *runtime.Mesh, sel *runtime.Selector) ([]stream, error) {
	var out []stream
	for _, ns := range m.Namespaces() {
		for _, app := range m.Apps(ns) {
			class, ok := app.Type.ProxyClass()
			if !ok {
				continue
			}
			for _, pod := range m.Pods(app) {
				ok, err := sel.Matches(ctx, runtime.Scene{Pod: pod})
				if err != nil {
					return nil, fmt.Errorf("select: %w", err)
				}
				if ok {
					out = append(out, stream{class, ns.Name, pod.Name()})
				}
			}
		}
	}
	if sel != nil {
		return out, nil
	}
	for _, n := range m.Nodes() {
		if n.Ztunnel {
			out = append(out, stream{runtime.ClassZtunnel, istioSystem, ztunnelName(n)})
		}
	}
	for _, c := range m.Clients() {
		out = append(out, stream{c.Class, c.Namespace, c.Name})
	}
	return out, nil
}
