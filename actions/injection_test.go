package actions

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// sidecars is an app of the type with one pod.
func sidecars(name string, t runtime.AppType, s podSettings) appSpec {
	return appSpec{Name: name, Type: t, Replicas: 1, Pods: 1, ServiceAccount: "default", podSettings: s}
}

// TestWaysOfInjection: how a pod gets its proxy is what the app says, else what its type and its namespace's labels do;
// and a pod that has its proxy already is kept from the api-server's webhook.
func TestWaysOfInjection(t *testing.T) {
	t.Parallel()
	enabled := map[string]string{"istio-injection": "enabled"}
	for _, c := range []struct {
		app    runtime.AppType
		said   runtime.Injection
		labels map[string]string
		want   runtime.Injection
		label  string // sidecar.istio.io/inject
	}{
		{runtime.AppSidecar, "", nil, runtime.InjectDirect, ""},
		{runtime.AppSidecar, "", enabled, runtime.InjectWebhook, "true"},
		{runtime.AppSidecar, "", map[string]string{"istio.io/rev": "canary"}, runtime.InjectWebhook, "true"},
		{runtime.AppSidecar, "", map[string]string{"istio-injection": "disabled", "istio.io/rev": "canary"}, runtime.InjectDirect, ""},
		{runtime.AppSidecar, runtime.InjectNone, nil, runtime.InjectNone, ""},
		{runtime.AppSidecar, runtime.InjectNone, enabled, runtime.InjectNone, "false"},
		{runtime.AppSidecar, runtime.InjectWebhook, nil, runtime.InjectWebhook, "true"},
		{runtime.AppGateway, "", nil, runtime.InjectNone, ""},
		{runtime.AppGateway, "", enabled, runtime.InjectNone, "false"},
		{runtime.AppGateway, runtime.InjectDirect, nil, runtime.InjectDirect, ""},
		{runtime.AppPlain, "", nil, runtime.InjectNone, ""},
		{runtime.AppPlain, "", enabled, runtime.InjectNone, ""}, // its namespace asks for it: the webhook decides
	} {
		m := runtime.NewMesh(1, true)
		a := &createNamespaces{Count: 1, Labels: c.labels, Apps: []appSpec{sidecars("web", c.app, podSettings{Inject: c.said})}}
		for in, err := range a.intents(t.Context(), m, time.Time{}, alone) {
			if err != nil {
				t.Fatal(err)
			}
			if in.Kind != "Pod" {
				continue
			}
			pod := in.Build().(*corev1.Pod)
			if in.Injection != c.want || pod.Labels[injectLabel] != c.label {
				t.Errorf("%s, said %q, namespace %v: %q with label %q, want %q with %q", c.app, c.said, c.labels, in.Injection, pod.Labels[injectLabel], c.want, c.label)
			}
			proxied := runtime.Injected(pod) || c.app == runtime.AppGateway
			if c.app != runtime.AppPlain && proxied != (c.want == runtime.InjectNone || c.app == runtime.AppGateway) {
				t.Errorf("%s, said %q: the pod has a proxy of its own: %v", c.app, c.said, proxied)
			}
		}
	}
}

// TestLaterPods: pods that come later get their proxy as their app says, unless the step says otherwise.
func TestLaterPods(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		app, step podSettings
		want      runtime.Injection
		csr       bool
	}{
		{podSettings{}, podSettings{}, runtime.InjectDirect, false},
		{podSettings{Inject: runtime.InjectWebhook, CSR: &yes}, podSettings{}, runtime.InjectWebhook, true},
		{podSettings{CSR: &yes}, podSettings{Inject: runtime.InjectNone, CSR: &no}, runtime.InjectNone, false},
		{podSettings{Inject: runtime.InjectNone}, podSettings{Inject: runtime.InjectDirect, CSR: &yes}, runtime.InjectDirect, true},
	} {
		m := runtime.NewMesh(1, true)
		for range (&createNamespaces{Count: 1, Apps: []appSpec{sidecars("web", runtime.AppSidecar, c.app)}}).intents(t.Context(), m, time.Time{}, alone) {
		}
		var got []runtime.Intent
		for in, err := range (&scale{To: ptr(2), podSettings: c.step}).intents(t.Context(), m, time.Time{}, alone) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, in)
		}
		if len(got) != 1 || got[0].Injection != c.want || got[0].CSR != c.csr || got[0].Want().CSR != c.csr {
			t.Errorf("app %+v, step %+v: %+v", c.app, c.step, got)
		}
	}
}

func TestInjectionMistakes(t *testing.T) {
	t.Parallel()
	yes := true
	for want, c := range map[string]struct {
		cluster ir.ClusterMode
		body    runtime.Action
	}{
		"phases[0].steps[0].apps[0].inject": {ir.ClusterSandbox, &createNamespaces{Count: 1, Apps: []appSpec{sidecars("web", runtime.AppAmbient, podSettings{Inject: runtime.InjectDirect})}}},
		"phases[0].steps[0].apps[0].csr":    {ir.ClusterSandbox, &createNamespaces{Count: 1, Apps: []appSpec{sidecars("web", runtime.AppPlain, podSettings{CSR: &yes})}}},
		"phases[0].steps[0].apps[1].inject": {ir.ClusterSandbox, &createNamespaces{Count: 1, Labels: map[string]string{"istio-injection": "enabled"}, Apps: []appSpec{
			sidecars("a", runtime.AppSidecar, podSettings{}), sidecars("b", runtime.AppSidecar, podSettings{Inject: runtime.InjectDirect}),
		}}},
		"phases[0].steps[0].apps[2].inject": {ir.ClusterReal, &createNamespaces{Count: 1, Apps: []appSpec{
			sidecars("a", runtime.AppSidecar, podSettings{}), sidecars("b", runtime.AppSidecar, podSettings{Inject: runtime.InjectDirect}),
			sidecars("c", runtime.AppSidecar, podSettings{Inject: runtime.InjectWebhook}),
		}}},
		"phases[0].steps[0]":          {ir.ClusterSandbox, &inject{Namespace: "default"}},
		"phases[0].steps[0].duration": {ir.ClusterSandbox, &requestCertificates{requests: requests{Count: 1, Duration: ir.Duration(time.Second)}}},
		"phases[0].steps[0].select":   {ir.ClusterSandbox, &requestCertificates{requests: requests{Count: 1}, Select: "pod.index == 1"}},
		"phases[0].steps[0].fraction": {ir.ClusterSandbox, &disconnect{Count: 1, Fraction: 0.5}},
		"phases[0].steps[0].protocol": {ir.ClusterSandbox, &connect{Count: 1, Class: runtime.ClassZtunnel, Protocol: "sotw"}},
	} {
		s := runtimetest.Scenario(c.body)
		s.Cluster = c.cluster
		if _, ds := runtime.Compile(t.Context(), s, nil); len(ds) != 1 || ds[0].Path != want {
			t.Errorf("%T: %v, want one at %s", c.body, ds, want)
		}
	}
}

// TestPlanningMistakes: what only the mesh before a step shows.
func TestPlanningMistakes(t *testing.T) {
	t.Parallel()
	mesh := &createNamespaces{Count: 1, Apps: []appSpec{sidecars("web", runtime.AppSidecar, podSettings{})}}
	for want, body := range map[string]runtime.Action{
		"there are only 1 streams to break: `count` is 2": &disconnect{Count: 2},
		errNoStreams.Error():                              &disconnect{Count: 1, Class: runtime.ClassGateway},
		errNoApps.Error():                                 &requestCertificates{requests: requests{Count: 1}, Select: "app.name == 'x'"},
	} {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(mesh, body), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		if _, ds := g.Plan(t.Context()); len(ds) != 1 || ds[0].Message != want {
			t.Errorf("%v, want %q", ds, want)
		}
	}
	twice := &connect{Count: 2, Class: runtime.ClassClient, Namespace: "default"}
	g, _ := runtime.Compile(t.Context(), runtimetest.Scenario(twice, twice), nil)
	if _, ds := g.Plan(t.Context()); len(ds) != 1 {
		t.Errorf("the same streams twice: %v", ds)
	}
}

// TestCertify: where the target is not spoken to in plaintext, every proxy asks for a certificate but those of apps that
// say no; where it is, those of apps that say yes.
func TestCertify(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for certify, want := range map[bool]int64{false: 1, true: 3} {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&createNamespaces{Count: 1, Apps: []appSpec{
			sidecars("open", runtime.AppSidecar, podSettings{}), sidecars("edge", runtime.AppGateway, podSettings{}), sidecars("plain", runtime.AppPlain, podSettings{}),
			sidecars("no", runtime.AppSidecar, podSettings{CSR: &no}), sidecars("yes", runtime.AppSidecar, podSettings{CSR: &yes}),
		}}), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		g.Certify = certify
		plan, ds := g.Plan(t.Context())
		if ds != nil {
			t.Fatal(ds)
		}
		if diff := cmp.Diff(map[runtime.Stage]int64{runtime.StageInjection: 3, runtime.StageCertificate: want}, plan.Calls()); diff != "" {
			t.Errorf("certify %v: %s", certify, diff)
		}
	}
}

// TestStormPicksByClass breaks each of the streams that are meant once, and no other.
func TestStormPicksByClass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(
			&createNodes{Count: 2, Ztunnel: true, Zones: 1},
			&createNamespaces{Count: 1, Apps: []appSpec{{Name: "web", Type: runtime.AppSidecar, Replicas: 1, Pods: 4, ServiceAccount: "default"}}},
			&connect{Count: 7, Class: runtime.ClassClient, Namespace: "default"},
			&disconnect{Fraction: 0.5, Class: runtime.ClassClient},
			&disconnect{Fraction: 1, Class: runtime.ClassZtunnel},
			&disconnect{Count: 3, Select: "app.name == 'web'", Rate: ptr(ir.ConstantRate(1))},
		), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		proxies := &runtimetest.Proxies{}
		out := g.Run(context.Background(), runtime.Parts{
			RunID: "r", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: proxies, Signal: &runtime.Signal{}, Services: istiod(),
		})
		if out.Exit != runtime.ExitPass {
			t.Fatal(out.Err)
		}
		got, once := map[runtime.ProxyClass]int{}, map[string]bool{}
		for _, key := range proxies.Disconnected() {
			p, ok := proxies.Wanted()[key]
			if !ok || once[key] {
				t.Errorf("%s: wanted %v, broken before %v", key, ok, once[key])
			}
			once[key] = true
			got[p.Class]++
		}
		if diff := cmp.Diff(map[runtime.ProxyClass]int{runtime.ClassClient: 4, runtime.ClassZtunnel: 2, runtime.ClassSidecar: 3}, got); diff != "" {
			t.Error(diff)
		}
		if a := fmt.Sprint(out.Phases[5].Steps[0].Arrivals.Planned); a != "3" {
			t.Errorf("%s arrivals", a)
		}
	})
}
