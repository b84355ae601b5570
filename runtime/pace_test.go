package runtime_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, n)) }

func TestArrivalsConstant(t *testing.T) {
	t.Parallel()
	l := runtime.Load{Rate: ir.ConstantRate(4), Law: runtime.ArrivalsConstant, Duration: ir.Duration(time.Second)}
	got := slices.Collect(l.Arrivals(seeded(1)))
	want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestArrivalsFollowRamp(t *testing.T) {
	t.Parallel()
	ramp := ir.Rate{Stages: []ir.Stage{{From: 10, To: 30, Over: 10 * time.Second}, {From: 30, To: 30, Over: 10 * time.Second}}}
	for _, law := range []runtime.ArrivalLaw{runtime.ArrivalsConstant, runtime.ArrivalsPoisson, runtime.ArrivalsUniform, runtime.ArrivalsNormal} {
		l := runtime.Load{Rate: ramp, Law: law, Duration: ir.Duration(20 * time.Second)}
		all := slices.Collect(l.Arrivals(seeded(7)))
		if !slices.IsSorted(all) {
			t.Errorf("%s: not in order", law)
		}
		if n := float64(len(all)); math.Abs(n-500) > 4*math.Sqrt(500) || law == runtime.ArrivalsConstant && n != 500 {
			t.Errorf("%s: %v arrivals, want about 500", law, n)
		}
		first := slices.IndexFunc(all, func(d time.Duration) bool { return d >= 10*time.Second })
		if math.Abs(float64(first)-200) > 4*math.Sqrt(200) {
			t.Errorf("%s: %d arrivals in the ramp, want about 200", law, first)
		}
		if !slices.Equal(all, slices.Collect(l.Arrivals(seeded(7)))) {
			t.Errorf("%s: the same seed gave another sequence", law)
		}
	}
}

// TestPoissonGaps is a Kolmogorov-Smirnov test of the gaps against the exponential law, with a fixed seed.
func TestPoissonGaps(t *testing.T) {
	t.Parallel()
	l := runtime.Load{Rate: ir.ConstantRate(100), Law: runtime.ArrivalsPoisson, Duration: ir.Duration(100 * time.Second)}
	var gaps []float64
	last := time.Duration(0)
	for at := range l.Arrivals(seeded(42)) {
		gaps = append(gaps, (at - last).Seconds())
		last = at
	}
	slices.Sort(gaps)
	n := float64(len(gaps))
	d := 0.0
	for i, g := range gaps {
		f := 1 - math.Exp(-100*g)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	if limit := 1.63 / math.Sqrt(n); d > limit { // the 1% point
		t.Errorf("KS distance %.4f of %v gaps, above %.4f", d, n, limit)
	}
}

// rateStep is a rate step that writes one pod for each arrival.
type rateStep struct{ load runtime.Load }

func (s *rateStep) next(i int) ([]runtime.Intent, error) {
	name := fmt.Sprintf("p%d", i)
	return []runtime.Intent{{Verb: runtime.VerbCreate, Kind: "Pod", Name: name, Build: func() runtime.Object {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}}}, nil
}
func (s *rateStep) Plan(_ context.Context, p *runtime.Planner) error { return p.Arrive(s.load, s.next) }
func (s *rateStep) Run(ctx context.Context, env *runtime.Env) error {
	return env.Arrive(ctx, s.load, s.next)
}

func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := &runtimetest.Writer{Latency: 30 * time.Second} // far slower than arrivals come
		s := runtimetest.Scenario(&rateStep{runtime.Load{Rate: ir.ConstantRate(10), Duration: ir.Duration(10 * time.Second)}})
		out := run(t, s, func(p *runtime.Parts) { p.Writer = w })
		a := out.Phases[0].Steps[0].Arrivals
		if out.Exit != runtime.ExitPass || a.Planned != 100 || a.Started != 100 || a.Dropped != 0 || a.LatenessMax != 0 {
			t.Errorf("exit %d: %+v", out.Exit, a)
		}
		for i, x := range w.Writes() {
			if want := start.Add(time.Duration(i) * 100 * time.Millisecond); !x.Scheduled.Equal(want) {
				t.Fatalf("write %d scheduled at %v, want %v", i, x.Scheduled, want)
			}
		}
	})
}

func TestDroppedArrivalsInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runtimetest.Scenario(&rateStep{runtime.Load{Rate: ir.ConstantRate(10), Duration: ir.Duration(10 * time.Second)}})
		s.MaxPending = 20
		out := run(t, s, func(p *runtime.Parts) { p.Writer = &runtimetest.Writer{Latency: time.Minute} })
		a := out.Phases[0].Steps[0].Arrivals
		if a.Planned != 100 || a.Started != 20 || a.Dropped != 80 {
			t.Errorf("%+v", a)
		}
		if out.Exit != runtime.ExitInvalid || len(out.Invalid) != 1 {
			t.Errorf("exit %d: %v", out.Exit, out.Invalid)
		}
		if got := out.Readings["loadgen.dropped"]; got != int64(80) {
			t.Errorf("loadgen.dropped is %v", got)
		}
	})
}

func TestLateArrivalsInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := &stallingClock{stallAt: time.Now().Add(time.Second), stall: 5 * time.Second}
		s := runtimetest.Scenario(&rateStep{runtime.Load{Rate: ir.ConstantRate(10), Duration: ir.Duration(10 * time.Second)}})
		s.MaxLateness = ir.Duration(100 * time.Millisecond)
		out := run(t, s, func(p *runtime.Parts) { p.Clock = late })
		a := out.Phases[0].Steps[0].Arrivals
		if a.Planned != 100 || a.Started != 100 || a.LatenessMax < 4*time.Second {
			t.Errorf("%+v", a)
		}
		if out.Exit != runtime.ExitInvalid {
			t.Errorf("exit %d: %v", out.Exit, out.Invalid)
		}
	})
}

// stallingClock sleeps far too long, once, as a machine that stops for a while.
type stallingClock struct {
	runtimetest.Clock
	stallAt time.Time
	stall   time.Duration
	done    atomic.Bool
}

func (c *stallingClock) Sleep(ctx context.Context, d time.Duration) error {
	if d < time.Second && !time.Now().Before(c.stallAt) && !c.done.Swap(true) {
		d += c.stall
	}
	return c.Clock.Sleep(ctx, d)
}

// TestCountedLoad ends with its last arrival, or with its duration if that comes first.
func TestCountedLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count     int
		duration  time.Duration
		arrivals  int64
		takes     time.Duration
		isEndless bool
	}{
		{5, 0, 5, 2 * time.Second, false},
		{5, time.Hour, 5, 2 * time.Second, false},
		{1000, 3 * time.Second, 6, 3 * time.Second, false},
		{0, 0, 0, 0, true},
	} {
		l := runtime.Load{Rate: ir.ConstantRate(2), Law: runtime.ArrivalsConstant, Count: c.count, Duration: ir.Duration(c.duration)}
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(planned{l}), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		plan, ds := g.Plan(t.Context())
		if ds != nil {
			t.Fatal(ds)
		}
		st := plan.Phases[0].Steps[0]
		if st.Arrivals != c.arrivals || st.Expected != c.takes || l.Endless() != c.isEndless {
			t.Errorf("count %d, duration %v: %d arrivals in %v", c.count, c.duration, st.Arrivals, st.Expected)
		}
	}
}

// planned is an action that only plans a load.
type planned struct{ load runtime.Load }

func (p planned) Plan(_ context.Context, pl *runtime.Planner) error {
	return pl.Arrive(p.load, func(int) ([]runtime.Intent, error) { return nil, nil })
}

func (planned) Run(context.Context, *runtime.Env) error { return nil }
