package actions

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// onDemand is a mesh of ambient pods, a gateway and plain pods on three nodes, and then steps.
func onDemand(ztunnel bool, steps ...runtime.Action) *ir.Scenario {
	s := runtimetest.Scenario(append([]runtime.Action{
		&createNodes{Count: 3, Name: "node", Ztunnel: ztunnel},
		&createNamespaces{Count: 1, Name: "mesh", Apps: []appSpec{
			{Name: "web", Type: runtime.AppAmbient, Replicas: 1, Pods: 3, ServiceAccount: "default"}, // one on each node
			{Name: "edge", Type: runtime.AppGateway, Replicas: 1, Pods: 1, ServiceAccount: "default", podSettings: podSettings{Inject: runtime.InjectNone}},
			{Name: "old", Type: runtime.AppPlain, Replicas: 1, Pods: 3, ServiceAccount: "default"},
		}},
	}, steps...)...)
	s.Proxies.OnDemand = true
	return s
}

// demanded runs the scenario and returns which addresses each ztunnel asks for, as far as it is planned too.
func demanded(t *testing.T, s *ir.Scenario) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), s, nil)
		if ds != nil {
			t.Fatal(ds)
		}
		plan, ds := g.Plan(t.Context())
		if ds != nil {
			t.Fatal(ds)
		}
		proxies := &runtimetest.Proxies{}
		o := g.Run(t.Context(), runtime.Parts{
			RunID: "r", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: proxies, Signal: &runtime.Signal{},
			Services: runtime.Services{Demands: proxies},
		})
		if o.Exit != runtime.ExitPass {
			t.Fatal(o.Err)
		}
		for _, d := range proxies.Demanded() {
			out[d.Ztunnel] = append(out[d.Ztunnel], d.Address)
		}
		if planned := plan.Calls()[runtime.StageDemand]; planned != int64(len(proxies.Demanded())) {
			t.Errorf("planned %d demands, and made %d", planned, len(proxies.Demanded()))
		}
	})
	return out
}

func connections(n int, change func(*demandAddresses)) *demandAddresses {
	a := &demandAddresses{requests: requests{Count: n}, By: "service"}
	if change != nil {
		change(a)
	}
	return a
}

// TestDemandAddresses: which ztunnel asks for what, when each pod has surely connected to each other.
func TestDemandAddresses(t *testing.T) {
	t.Parallel()
	z := func(n string) string { return "istio-system/ztunnel-node-" + n }
	web := "mesh/web.mesh.svc.cluster.local"
	pods := demanded(t, onDemand(true, connections(500, func(a *demandAddresses) { a.By, a.Select = "pod", "app.name == 'web'" })))
	if len(pods) != 3 || len(pods[z("0")]) != 2 || !strings.HasPrefix(pods[z("0")][0], "/10.128.") {
		t.Errorf("by pod, each ztunnel has to ask for the two pods that are not on its node: %v", pods)
	}
	services := demanded(t, onDemand(true, connections(500, func(a *demandAddresses) { a.Select = "app.name == 'web'" })))
	for n, asked := range services {
		// Before its own pod has connected, it may have been asked where another comes from.
		if len(services) != 3 || asked[len(asked)-1] != web && len(asked) > 3 || !strings.Contains(strings.Join(asked, " "), web) {
			t.Errorf("by Service, %s asks for %q", n, asked)
		}
	}
	old := demanded(t, onDemand(true, connections(500, func(a *demandAddresses) { a.Select = "app.name == 'old'" })))
	want := []string{"mesh/old.mesh.svc.cluster.local"}
	if d := cmp.Diff(map[string][]string{z("0"): want, z("1"): want, z("2"): want}, old); d != "" {
		t.Errorf("to plain pods, only who connects asks (-want +got):\n%s", d)
	}
	edge := demanded(t, onDemand(true, connections(500, func(a *demandAddresses) { a.From, a.Select = "app.name == 'edge'", "app.name == 'web'" })))
	if len(edge) != 2 || len(edge[z("1")])+len(edge[z("2")])+len(edge[z("0")]) != 2 {
		t.Errorf("from a gateway, only the other ends ask, but for that on its own node: %v", edge)
	}
}

// TestDemandAddressesAfterChurn: the address of a pod that has come is another one, and not known yet.
func TestDemandAddressesAfterChurn(t *testing.T) {
	t.Parallel()
	step := func() runtime.Action {
		return connections(500, func(a *demandAddresses) { a.By, a.Select = "pod", "app.name == 'web'" })
	}
	churn := &churnPods{
		Rate: ir.ConstantRate(20), Arrivals: runtime.ArrivalsConstant, Duration: ir.Duration(time.Second), Select: "app.name == 'web'", Order: "newFirst", Unit: "pod", Percent: 100,
	}
	n := func(m map[string][]string) (sum int) {
		for _, asked := range m {
			sum += len(asked)
		}
		return sum
	}
	once, twice, churned := n(demanded(t, onDemand(true, step()))), n(demanded(t, onDemand(true, step(), step()))), n(demanded(t, onDemand(true, step(), churn, step())))
	if once != 6 || twice != once || churned <= twice {
		t.Errorf("%d demands, %d when all is repeated, %d when pods have been replaced", once, twice, churned)
	}
	rate := connections(0, func(a *demandAddresses) {
		rate := ir.ConstantRate(50)
		a.requests = requests{Rate: &rate, Arrivals: runtime.ArrivalsPoisson, Duration: ir.Duration(2 * time.Second)}
	})
	if n(demanded(t, onDemand(true, rate))) == 0 {
		t.Error("at a rate, nothing is asked for")
	}
}

// TestDemandAddressesOfNobody: what cannot lead to a demand is a mistake.
func TestDemandAddressesOfNobody(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]*ir.Scenario{
		"proxies: onDemand": func() *ir.Scenario {
			s := onDemand(true, connections(1, nil))
			s.Proxies.OnDemand = false
			return s
		}(),
		"from: it holds for no pod":   onDemand(true, connections(1, func(a *demandAddresses) { a.From = "app.name == 'nobody'" })),
		"select: it holds for no pod": onDemand(true, connections(1, func(a *demandAddresses) { a.Select = "app.name == 'nobody'" })),
		"ztunnel: true":               onDemand(false, connections(1, nil)),
		"no pod of type ambient": func() *ir.Scenario {
			s := runtimetest.Scenario(&createNodes{Count: 1, Name: "node", Ztunnel: true}, connections(1, nil))
			s.Proxies.OnDemand = true
			return s
		}(),
	} {
		g, ds := runtime.Compile(t.Context(), s, nil)
		if ds != nil {
			t.Fatal(ds)
		}
		if _, ds := g.Plan(t.Context()); len(ds) != 1 || !strings.Contains(ds[0].Message, want) {
			t.Errorf("%s: %v", want, ds)
		}
	}
	for want, a := range map[string]*demandAddresses{
		"needs `count` or `rate`": connections(0, nil),
		"needs `rate`":            connections(1, func(a *demandAddresses) { a.Duration = ir.Duration(time.Second) }),
	} {
		if _, ds := runtime.Compile(t.Context(), onDemand(true, a), nil); len(ds) != 1 || !strings.Contains(ds[0].Message, want) {
			t.Errorf("%s: %v", want, ds)
		}
	}
}

// TestKnownByService: a ztunnel that has asked for a Service is told of its pods, and asks for none of them.
func TestKnownByService(t *testing.T) {
	t.Parallel()
	m := runtime.NewMesh(1, false)
	for _, name := range []string{"a", "b"} {
		if _, err := m.AddNode(runtime.Node{Name: name, Ztunnel: true}); err != nil {
			t.Fatal(err)
		}
	}
	ns, err := m.AddNamespace("mesh", 0)
	if err != nil {
		t.Fatal(err)
	}
	app := m.AddApp(runtime.App{Namespace: ns, Name: "web", Type: runtime.AppAmbient})
	var pods []*runtime.Pod
	for range 2 { // one on each node
		pod, _, err := m.AddPod(app)
		if err != nil {
			t.Fatal(err)
		}
		pods = append(pods, pod)
	}
	here, there := pods[0], pods[1]
	if here.Node().Name != "a" {
		here, there = there, here
	}
	for _, c := range []struct {
		what     string
		by       string
		from, to *runtime.Pod
		want     []string
	}{
		{"nothing is known", "service", here, there, []string{"a mesh/web.mesh.svc.cluster.local", "b /" + here.IP()}},
		{"all is known", "service", here, there, nil},
		{"one end knows the other by its Service", "service", there, here, []string{"b mesh/web.mesh.svc.cluster.local"}},
		{"both do", "pod", here, there, nil},
	} {
		var got []string
		for _, in := range (&demandAddresses{By: c.by}).connect(m, c.from, c.to) {
			got = append(got, strings.TrimPrefix(in.Demand.Ztunnel, "istio-system/ztunnel-")+" "+in.Demand.Address)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}
