package actions

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/plscript/plscript/runtime"
)

//go:embed create_nodes.cue
var createNodesCUE string

type createNodes struct {
	Count   int    `json:"count"`
	Name    string `json:"name"`
	Regions int    `json:"regions"`
	Zones   int    `json:"zones"`
	Ztunnel bool   `json:"ztunnel"`
	nodeSpec
}

// MakesNodes implements [runtime.MakesNodes].
func (a *createNodes) MakesNodes() {}

// Check reads the quantities, which CUE knows only as texts, and finds what does not go with the rest of the scenario.
func (a *createNodes) Check(_ context.Context, c *runtime.Checker) {
	for field, text := range map[string]string{"capacity.cpu": a.Capacity.CPU, "capacity.memory": a.Capacity.Memory} {
		if q, err := resource.ParseQuantity(text); text != "" && (err != nil || q.Sign() <= 0) {
			c.Errorf(field, "%q is no quantity of Kubernetes above zero, like \"32\", \"500m\" or \"256Gi\"", text)
		}
	}
	// The name is also the value of a label, and has its number even if there is one node.
	checkNumbered(c, "name", cmp.Or(a.Name, "node"), max(2, a.Count))
	checkLabels(c, "labels", a.Labels)
	if a.Ztunnel {
		checkZtunnels(c, "ztunnel")
	}
}

func (a *createNodes) Plan(_ context.Context, p *runtime.Planner) error {
	return p.Do(a.intents(p.Mesh, time.Time{}))
}

func (a *createNodes) Run(ctx context.Context, env *runtime.Env) error {
	return env.Execute(ctx, a.intents(env.Mesh, env.Clock.Now()))
}

func (a *createNodes) intents(m *runtime.Mesh, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for i := range a.Count {
			region, zone := a.place(i)
			n, err := m.AddNode(runtime.Node{
				Name: fmt.Sprintf("%s-%d", cmp.Or(a.Name, "node"), i), Zone: zone, Region: region, Ztunnel: a.Ztunnel, MaxPods: a.Capacity.Pods,
			})
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			for _, in := range nodeIntents(n, a.nodeSpec, now) {
				if !yield(in, nil) {
					return
				}
			}
		}
	}
}

// place is where the nth node stands: regions take turns, and in each of them its zones.
func (a *createNodes) place(n int) (region, zone string) {
	regions, zones := max(1, a.Regions), max(1, a.Zones)
	letter := func(i int) string { return string(rune('a' + i)) }
	region, zone = "region-"+letter(n%regions), "zone-"+letter(n/regions%zones)
	if regions > 1 {
		zone = region + "-" + zone
	}
	return region, zone
}
