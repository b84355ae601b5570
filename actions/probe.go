package actions

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed probe.cue
var probeCUE string

type probe struct {
	Replicas  int         `json:"replicas"`
	Delay     ir.Duration `json:"delay"`
	Threshold int         `json:"threshold"`
	Gateway   string      `json:"gateway"`
	Name      string      `json:"name"`
	Domain    string      `json:"domain"`
	Address   string      `json:"address"`
	Limit     ir.Duration `json:"limit"`
}

// Check finds what CUE cannot.
func (a *probe) Check(_ context.Context, c *runtime.Checker) {
	if a.Threshold >= a.Replicas && a.Replicas > 0 {
		c.Errorf("threshold", "no route is measured: there are %d, and the first %d are not", a.Replicas, a.Threshold)
	}
}

func (a *probe) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says(fmt.Sprintf("measures %d routes of %s", a.Replicas-a.Threshold, a.Gateway))
	p.Takes(time.Duration(a.Replicas-a.Threshold) * a.Delay.Std())
	return p.Do(func(yield func(runtime.Intent, error) bool) {
		for i := range a.Replicas {
			if !yield(a.route("", i).intent(nil), nil) {
				return
			}
		}
	})
}

func (a *probe) Run(ctx context.Context, env *runtime.Env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address, err := a.ingress(ctx, env)
	if err != nil {
		return err
	}
	m := &routeMeter{env: env, limit: a.Limit.Std()}
	if address != "" {
		m.traffic = newTraffic(address, env.Clock)
		if err := m.traffic.reach(ctx); err != nil {
			return err
		}
	}
	if err := a.crowd(ctx, m); err != nil {
		return err
	}
	for i := a.Threshold; i < a.Replicas; i++ {
		if err := m.measure(ctx, a.route(env.RunID, i), i+1); err != nil {
			return err
		}
		if err := env.Clock.Sleep(ctx, a.Delay.Std()); err != nil {
			return err
		}
	}
	return nil
}

// crowd adds the routes that are not measured, and waits until the last of them is ready: what istiod has to do for them
// is not to be counted as the next one's.
func (a *probe) crowd(ctx context.Context, m *routeMeter) error {
	if a.Threshold == 0 {
		return nil
	}
	last := a.Threshold - 1
	err := m.env.Execute(ctx, func(yield func(runtime.Intent, error) bool) {
		for i := range last {
			if !yield(a.route(m.env.RunID, i).intent(nil), nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return m.measure(ctx, a.route(m.env.RunID, last), unmeasured)
}

// one is a single intent.
func one(in runtime.Intent) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) { yield(in, nil) }
}

// ingress is where the traffic goes: the address given, or a gateway started for it; "" for none.
func (a *probe) ingress(ctx context.Context, env *runtime.Env) (string, error) {
	if a.Address != "" || env.Gateways == nil {
		return a.Address, nil
	}
	for _, ns := range env.Mesh.Namespaces() {
		for _, app := range env.Mesh.Apps(ns) {
			if pods := env.Mesh.Pods(app); app.Type == runtime.AppGateway && len(pods) > 0 {
				return env.Gateways.Start(ctx, nodeID(pods[0]))
			}
		}
	}
	return "", nil
}

// nodeID is what a gateway's pod calls itself to istiod (Istio pkg/model Proxy.ServiceNode).
func nodeID(p *runtime.Pod) string {
	ns := p.App.Namespace.Name
	return fmt.Sprintf("router~%s~%s.%s~%s.svc.cluster.local", p.IP(), p.Name(), ns, ns)
}

// probeRoute is one of the routes.
type probeRoute struct {
	namespace, gateway string // of the Gateway
	name, host         string
	answer             string // what the route says to a request
}

func (a *probe) route(runID string, i int) probeRoute {
	r := probeRoute{name: fmt.Sprintf("%s-%d", cmp.Or(a.Name, "probe"), i)}
	r.namespace, r.gateway, _ = strings.Cut(a.Gateway, "/")
	r.host = r.name + "." + a.Domain
	r.answer = r.name + " " + runID
	return r
}

func (r probeRoute) key() runtime.ObjectKey {
	return runtime.ObjectKey{APIVersion: "networking.istio.io/v1", Kind: "VirtualService", Namespace: r.namespace, Name: r.name}
}

// object is the VirtualService.
func (r probeRoute) object() *unstructured.Unstructured {
	key := r.key()
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": key.APIVersion, "kind": key.Kind,
		"metadata": map[string]any{"namespace": key.Namespace, "name": key.Name},
		"spec": map[string]any{
			"hosts":    []any{r.host},
			"gateways": []any{r.namespace + "/" + r.gateway},
			"http": []any{map[string]any{
				"name":           r.name,
				"directResponse": map[string]any{"status": int64(200), "body": map[string]any{"string": r.answer}},
			}},
		},
	}}
}

// intent creates the route. converged, unless nil, is told when every gateway has it.
func (r probeRoute) intent(converged func(time.Duration, bool)) runtime.Intent {
	in := objectIntent(runtime.VerbCreate, nil, r.key())
	in.Build = func() runtime.Object { return r.object() }
	if converged == nil {
		return in
	}
	in.Change = func() runtime.Change {
		return runtime.Change{
			Kind: runtime.ChangeRoute,
			Config: &runtime.ConfigChange{
				Object: r.key(), Fields: runtime.ScalarFields(r.object().Object),
				Audience: func(p runtime.Proxy) bool { return p.Class == runtime.ClassGateway },
			},
			Converged: converged,
		}
	}
	return in
}
