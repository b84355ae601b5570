package actions

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/plscript/plscript/runtime"
)

//go:embed create_nodes.cue
var createNodesCUE string

type createNodes struct {
	Count    int               `json:"count"`
	Name     string            `json:"name"`
	Zones    int               `json:"zones"`
	Ztunnel  bool              `json:"ztunnel"`
	Labels   map[string]string `json:"labels"`
	Metadata map[string]string `json:"metadata"`
}

// MakesNodes implements [runtime.MakesNodes].
func (a *createNodes) MakesNodes() {}

func (a *createNodes) Plan(_ context.Context, p *runtime.Planner) error {
	return p.Do(a.intents(p.Mesh, time.Time{}))
}

func (a *createNodes) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(env.Mesh, env.Clock.Now()))
}

func (a *createNodes) intents(m *runtime.Mesh, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for i := range a.Count {
			n, err := m.AddNode(runtime.Node{
				Name: fmt.Sprintf("%s-%d", cmp.Or(a.Name, "node"), i), Zone: "zone-" + string(rune('a'+i%a.Zones)), Region: "region-a", Ztunnel: a.Ztunnel,
			})
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			for _, in := range nodeIntents(n, a.Labels, a.Metadata, now) {
				if !yield(in, nil) {
					return
				}
			}
		}
	}
}
