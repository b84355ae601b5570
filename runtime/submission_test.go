package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// sidecarIntent makes a pod that gets its sidecar in the given way.
func sidecarIntent(name string, how runtime.Injection) runtime.Intent {
	return runtime.Intent{
		Verb: runtime.VerbCreate, Kind: "Pod", Namespace: "ns", Name: name, Injection: how, Class: runtime.ClassSidecar,
		Build: func() runtime.Object {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{"app": "web"}}}
			if how == runtime.InjectWebhook {
				p.Labels["sidecar.istio.io/inject"] = "true"
			}
			return p
		},
		Want: func() runtime.Proxy {
			return runtime.Proxy{Class: runtime.ClassSidecar, Namespace: "ns", Name: name, Pod: true, Metadata: map[string]string{"TEAM": "a"}}
		},
	}
}

func deletion(kind, namespace, name string) runtime.Intent {
	in := runtime.Intent{Verb: runtime.VerbDelete, Kind: kind, Namespace: namespace, Name: name}
	switch kind {
	case "Namespace":
		in.Build = func() runtime.Object { return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	default:
		in.Forget = []runtime.ProxyKey{{Class: runtime.ClassSidecar, Key: namespace + "/" + name}}
		in.Build = func() runtime.Object {
			return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		}
	}
	return in
}

// bulk executes the intents as one step.
func bulk(intents ...runtime.Intent) runtime.Action {
	return act(func(ctx context.Context, env *runtime.Env) error {
		return env.Execute(ctx, func(yield func(runtime.Intent, error) bool) {
			for _, in := range intents {
				if !yield(in, nil) {
					return
				}
			}
		})
	})
}

// arriving starts one arrival with the intents each second.
func arriving(l runtime.Load, next func(i int) []runtime.Intent) runtime.Action {
	return act(func(ctx context.Context, env *runtime.Env) error {
		return env.Arrive(ctx, l, func(i int) ([]runtime.Intent, error) { return next(i), nil })
	})
}

// injected is a run with an injector, and what is left of it.
type injected struct {
	runtimetest.Injector
	runtimetest.Writer
	runtimetest.Proxies
	stages runtime.Stages
}

func (i *injected) parts(p *runtime.Parts) {
	p.Writer, p.Proxies, p.Stages, p.Services.Injector = &i.Writer, &i.Proxies, &i.stages, &i.Injector
}

func (i *injected) writes() []string {
	var out []string
	for _, w := range i.Writes() {
		out = append(out, fmt.Sprintf("%s %s %s", w.Verb, w.Kind, w.Name))
	}
	return out
}

func (i *injected) count(s runtime.Stage) (n, errs int64) {
	for _, o := range i.stages.Outcomes() {
		if o.Stage == s {
			return o.Count, o.Errors
		}
	}
	return 0, 0
}

// TestInjectedPodIsWritten: what istiod made of the pod is written, and the proxy is the one that the pod describes.
func TestInjectedPodIsWritten(t *testing.T) {
	for _, how := range []runtime.Injection{runtime.InjectDirect, runtime.InjectWebhook} {
		t.Run(string(how), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &injected{Writer: runtimetest.Writer{Answer: runtimetest.Admit}}
				if out := run(t, runtimetest.Scenario(bulk(sidecarIntent("a", how))), i.parts); out.Exit != runtime.ExitPass {
					t.Fatal(out.Err)
				}
				pod := i.Writes()[0].Object.(*corev1.Pod)
				if got := runtime.Injected(pod); got != (how == runtime.InjectDirect) {
					t.Errorf("the pod was injected before its write: %v", got)
				}
				p := i.Wanted()["ns/a"]
				want := map[string]string{"TEAM": "a", "WORKLOAD_NAME": "a", "MESH_ID": "cluster.local"}
				if diff := cmp.Diff(want, p.Metadata); diff != "" {
					t.Error(diff)
				}
				if _, marked := p.Annotations["sidecar.istio.io/status"]; p.Labels["security.istio.io/tlsMode"] != "istio" || !marked {
					t.Errorf("labels of the proxy: %v, annotations %v", p.Labels, p.Annotations)
				}
				stage := map[runtime.Injection]runtime.Stage{runtime.InjectDirect: runtime.StageInjection, runtime.InjectWebhook: runtime.StageAdmission}[how]
				if n, errs := i.count(stage); n != 1 || errs != 0 {
					t.Errorf("%d of stage %s, %d errors", n, stage, errs)
				}
			})
		})
	}
}

// TestCreateComesBeforeDelete: a pod that is deleted while istiod still has it is written first, and its namespace goes
// after it. What has nothing to do with it does not wait.
func TestCreateComesBeforeDelete(t *testing.T) {
	for _, how := range []runtime.Injection{runtime.InjectDirect, runtime.InjectWebhook} {
		t.Run(string(how), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &injected{Injector: runtimetest.Injector{Latency: time.Minute}, Writer: runtimetest.Writer{Answer: runtimetest.Admit, Latency: time.Second}}
				out := run(t, runtimetest.Scenario(bulk(
					sidecarIntent("a", how), sidecarIntent("b", how), deletion("Pod", "ns", "a"), deletion("Namespace", "", "ns"), deletion("Pod", "ns", "other"),
				)), i.parts)
				if out.Exit != runtime.ExitPass {
					t.Fatal(out.Err)
				}
				got := i.writes()
				at := func(w string) int { return slices.Index(got, w) }
				if len(got) != 5 || at("create Pod a") > at("delete Pod a") || at("delete Namespace ns") != 4 && at("delete Pod a") != 4 ||
					at("create Pod b") > at("delete Namespace ns") || at("delete Pod other") > 2 {
					t.Errorf("written: %q", got)
				}
				if len(i.Wanted()) != 1 {
					t.Errorf("wanted in the end: %v", i.Wanted())
				}
			})
		})
	}
}

// TestInjectionDoesNotHoldArrivals: arrivals start by the clock, however long istiod takes, a bounded number is with it
// at a time, and what they wait is part of the time that is reported.
func TestInjectionDoesNotHoldArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &injected{Injector: runtimetest.Injector{Latency: 10 * time.Second}}
		l := runtime.Load{Rate: ir.ConstantRate(10), Law: runtime.ArrivalsConstant, Duration: ir.Duration(10 * time.Second)}
		out := run(t, runtimetest.Scenario(arriving(l, func(n int) []runtime.Intent {
			return []runtime.Intent{sidecarIntent(fmt.Sprint(n), runtime.InjectDirect)}
		})), i.parts)
		if out.Exit != runtime.ExitPass {
			t.Fatal(out.Err)
		}
		a := out.Phases[0].Steps[0].Arrivals
		if a.Started != 100 || a.LatenessMax > 2*time.Millisecond {
			t.Errorf("arrivals %+v", a)
		}
		if n := i.AtOnce(); n != 16 {
			t.Errorf("%d pods were with the injector at once", n)
		}
		// 100 pods, 16 at a time, 10 s each, are seven rounds: the last arrival, due at 9.9 s, ends at 70 s.
		if s := out.Stages[0]; s.Count != 100 || s.Max < 60*time.Second || s.Max > 61*time.Second {
			t.Errorf("stage %+v", s)
		}
	})
}

// TestBulkWaitsForInjection: a bulk step does not build the pods of a large mesh long before istiod gets to them.
func TestBulkWaitsForInjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &injected{Injector: runtimetest.Injector{Latency: time.Second}}
		var yielded atomic.Int64
		step := act(func(ctx context.Context, env *runtime.Env) error {
			return env.Execute(ctx, func(yield func(runtime.Intent, error) bool) {
				for n := range 1000 {
					yielded.Store(int64(n))
					if !yield(sidecarIntent(fmt.Sprint(n), runtime.InjectDirect), nil) {
						return
					}
				}
			})
		})
		time.AfterFunc(2500*time.Millisecond, func() {
			if n := yielded.Load(); n > 100 {
				t.Errorf("%d pods were planned when 32 had been injected", n)
			}
		})
		if out := run(t, runtimetest.Scenario(step), i.parts); out.Exit != runtime.ExitPass {
			t.Fatal(out.Err)
		}
		if n := len(i.Writes()); n != 1000 {
			t.Errorf("%d pods written", n)
		}
	})
}

// TestRefusedPod: one pod that istiod refuses fails the step, says which and why, and is not written.
func TestRefusedPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &injected{Injector: runtimetest.Injector{Fail: func(p *corev1.Pod) error {
			if p.Name == "bad" {
				return errors.New("istiod does not allow the pod: no")
			}
			return nil
		}}}
		out := run(t, runtimetest.Scenario(bulk(
			sidecarIntent("good", runtime.InjectDirect), sidecarIntent("bad", runtime.InjectDirect), deletion("Pod", "ns", "bad"),
		)), i.parts)
		if out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "create Pod ns/bad: injection: istiod does not allow the pod: no") {
			t.Errorf("exit %d, %v", out.Exit, out.Err)
		}
		if slices.Contains(i.writes(), "create Pod bad") || i.Wanted()["ns/bad"].Name != "" {
			t.Errorf("written %q, wanted %v", i.writes(), i.Wanted())
		}
		if n, errs := i.count(runtime.StageInjection); n != 1 || errs != 1 {
			t.Errorf("%d injected, %d errors", n, errs)
		}
	})
}

// TestPodThatTheWebhookLeavesOut: a pod that was to be injected by the api-server, and was not, is a failure.
func TestPodThatTheWebhookLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &injected{}
		out := run(t, runtimetest.Scenario(bulk(sidecarIntent("a", runtime.InjectWebhook))), i.parts)
		if out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "did not have the pod injected") {
			t.Errorf("exit %d, %v", out.Exit, out.Err)
		}
		if n, errs := i.count(runtime.StageAdmission); n != 0 || errs != 1 {
			t.Errorf("%d admitted, %d errors", n, errs)
		}
	})
}

// TestCancelledRunAsksNoMore: what waits for istiod when a run is interrupted is never asked, and no error of istiod's.
func TestCancelledRunAsksNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &injected{Injector: runtimetest.Injector{Latency: time.Minute}}
		l := runtime.Load{Rate: ir.ConstantRate(100), Law: runtime.ArrivalsConstant, Duration: ir.Duration(time.Hour)}
		s := runtimetest.Scenario(arriving(l, func(n int) []runtime.Intent {
			return []runtime.Intent{sidecarIntent(fmt.Sprint(n), runtime.InjectDirect)}
		}))
		g, ds := runtime.Compile(t.Context(), s, nil)
		if ds != nil {
			t.Fatal(ds)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(runtime.ErrInterrupted) })
		parts := runtime.Parts{Clock: runtimetest.Clock{}, Signal: &runtime.Signal{}}
		i.parts(&parts)
		out := g.Run(ctx, parts)
		if out.Exit != runtime.ExitInterrupted || out.Ended.Sub(out.Started) != 5*time.Second {
			t.Errorf("exit %d after %v, %v", out.Exit, out.Ended.Sub(out.Started), out.Err)
		}
		if n := len(i.Injected()); n != 16 {
			t.Errorf("%d pods were shown to the injector", n)
		}
		if _, errs := i.count(runtime.StageInjection); errs != 0 || len(i.Writes()) != 0 {
			t.Errorf("%d errors, written %q", errs, i.writes())
		}
	})
}

// TestNoAuthority: a proxy that could never get its certificate fails its step, and is not waited for.
func TestNoAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &injected{}
		in := sidecarIntent("a", runtime.InjectDirect)
		in.CSR = true
		out := run(t, runtimetest.Scenario(bulk(in)), i.parts)
		if out.Exit != runtime.ExitTarget || len(i.Writes()) != 0 || !strings.Contains(out.Err.Error(), "secure port") {
			t.Errorf("exit %d, %v, written %q", out.Exit, out.Err, i.writes())
		}
	})
}

// TestNoInjector: a target without the webhook is not usable for a scenario that needs it.
func TestNoInjector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := run(t, runtimetest.Scenario(bulk(sidecarIntent("a", runtime.InjectDirect))), func(p *runtime.Parts) { p.Proxies = &runtimetest.Proxies{} })
		if out.Exit != runtime.ExitTarget || !strings.Contains(out.Err.Error(), "webhook: name a cluster") {
			t.Errorf("exit %d, %v", out.Exit, out.Err)
		}
	})
}
