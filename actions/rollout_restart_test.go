package actions

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// slowReadiness has every pod take a second, and notes what it was asked for.
type slowReadiness struct {
	mu    sync.Mutex
	asked [][]string
}

func (s *slowReadiness) AwaitReady(ctx context.Context, keys []string) error {
	s.mu.Lock()
	s.asked = append(s.asked, keys)
	s.mu.Unlock()
	return runtimetest.Clock{}.Sleep(ctx, time.Second)
}

// TestRolloutKeepsItsLimits counts the pods that there are of each app while it is restarted: those that were written and
// not deleted, and of these, those that had the time to be ready.
func TestRolloutKeepsItsLimits(t *testing.T) {
	for name, c := range map[string]struct {
		unavailable, surge intstr.IntOrString
		parallel, waves    int
		most, fewest       int // pods of one app, of 8
	}{
		"defaults":    {intstr.FromString("25%"), intstr.FromString("25%"), 1, 4, 10, 6},
		"surge only":  {intstr.FromInt32(0), intstr.FromInt32(3), 2, 3, 11, 8},
		"missing":     {intstr.FromInt32(1), intstr.FromInt32(0), 1, 16, 8, 7},
		"nothing":     {intstr.FromInt32(0), intstr.FromString("0%"), 1, 16, 8, 7},
		"all at once": {intstr.FromInt32(900), intstr.FromInt32(0), 5, 1, 8, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ready := &slowReadiness{}
				w := &runtimetest.Writer{Latency: time.Millisecond}
				s := runtimetest.Scenario(
					&createNamespaces{Count: 1, Name: "mesh", Apps: []appSpec{{Name: "app", Type: runtime.AppPlain, Replicas: 2, Pods: 8, ServiceAccount: "default"}}},
					&rolloutRestart{MaxUnavailable: c.unavailable, MaxSurge: c.surge, Parallel: c.parallel, MinReady: ir.Duration(time.Second)},
				)
				g, ds := runtime.Compile(t.Context(), s, nil)
				if ds != nil {
					t.Fatal(ds)
				}
				out := g.Run(t.Context(), runtime.Parts{
					RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{},
					Services: runtime.Services{Readiness: ready},
				})
				if out.Exit != runtime.ExitPass {
					t.Fatal(out.Err)
				}
				if len(ready.asked) != c.waves {
					t.Errorf("%d waves, want %d: %v", len(ready.asked), c.waves, ready.asked)
				}
				if most, fewest := extremes(w.Writes()); most != c.most || fewest != c.fewest {
					t.Errorf("an app had between %d and %d pods, want %d and %d", fewest, most, c.fewest, c.most)
				}
				var fresh []string
				for _, keys := range ready.asked {
					fresh = append(fresh, keys...)
				}
				slices.Sort(fresh)
				if len(slices.Compact(fresh)) != 16 {
					t.Errorf("%d pods were waited for, want 16", len(fresh))
				}
			})
		})
	}
}

// extremes are the most and the fewest pods that an app had once it was complete.
func extremes(writes []runtimetest.Write) (most, fewest int) {
	now := map[string]int{}
	fewest = 8
	complete := map[string]bool{}
	for _, x := range writes {
		if x.Kind != "Pod" {
			continue
		}
		app, _, _ := strings.Cut(strings.TrimPrefix(x.Name, "app-"), "-")
		switch x.Verb {
		case runtime.VerbCreate:
			now[app]++
		case runtime.VerbDelete:
			now[app]--
		}
		complete[app] = complete[app] || now[app] == 8
		if complete[app] {
			most, fewest = max(most, now[app]), min(fewest, now[app])
		}
	}
	return most, fewest
}

// TestStepsThatMeetAtOnePod has several steps replace the same few pods at the same time, each pod slow to be injected:
// what is left is what is planned, and nothing else.
func TestStepsThatMeetAtOnePod(t *testing.T) {
	for name, inject := range map[string]runtime.Injection{"injected": runtime.InjectDirect, "plain": runtime.InjectNone} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				churn := func(order, unit string) *churnPods {
					return &churnPods{
						Rate: ir.ConstantRate(100), Arrivals: runtime.ArrivalsPoisson, Duration: ir.Duration(3 * time.Second),
						Order: order, Unit: unit, Percent: 100,
					}
				}
				s := runtimetest.Scenario(
					&createNamespaces{Count: 1, Name: "mesh", Apps: []appSpec{{Name: "app", Type: runtime.AppSidecar, Replicas: 2, Pods: 2, ServiceAccount: "default", podSettings: podSettings{Inject: inject}}}},
					churn("newFirst", "pod"), churn("oldFirst", "pod"), churn("oldFirst", "app"), churn("newFirst", "namespace"),
					&rolloutRestart{MaxUnavailable: intstr.FromInt32(1), Parallel: 2}, &scale{By: ptr(3)}, &scale{By: ptr(-1)},
				)
				for _, ph := range s.Phases[1:] {
					ph.After = []string{s.Phases[0].Name}
				}
				g, ds := runtime.Compile(t.Context(), s, nil)
				if ds != nil {
					t.Fatal(ds)
				}
				w := &runtimetest.Writer{Latency: 20 * time.Millisecond}
				out := g.Run(t.Context(), runtime.Parts{
					RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{},
					Services: runtime.Services{Injector: &runtimetest.Injector{Latency: 30 * time.Millisecond}},
				})
				if out.Exit != runtime.ExitPass {
					t.Fatal(out.Err)
				}
				there := map[string]bool{}
				for _, x := range w.Writes() {
					if x.Kind != "Pod" {
						continue
					}
					if x.Verb == runtime.VerbCreate {
						there[x.Name] = true
					} else if !there[x.Name] {
						t.Fatalf("%s was deleted before it was created", x.Name)
					} else {
						delete(there, x.Name)
					}
				}
				if len(there) != 8 {
					t.Errorf("%d pods are left, want 8", len(there))
				}
			})
		})
	}
}
