package report

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
)

// testClock shows the time that the test sets.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time                                 { return c.now }
func (c *testClock) Sleep(context.Context, time.Duration) error     { return nil }
func (c *testClock) After(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

// play shows a short run to p, second by second.
func play(p *Progress, clock *testClock) {
	event := func(at time.Duration, phase, step string, st runtime.Status, err error) {
		clock.now = start.Add(at)
		p.Observe(runtime.Event{Time: clock.now, Phase: phase, Step: step, Kind: step, Status: st, Err: err})
	}
	tick := func(at time.Duration, r runtime.Readings) {
		clock.now = start.Add(at)
		p.Tick(r)
	}
	event(0, "mesh", "", runtime.StatusRunning, nil)
	event(0, "mesh", "createNamespaces", runtime.StatusRunning, nil)
	tick(time.Second, runtime.Readings{"pods.ready": int64(0), "pods.desired": int64(1200), "writer.done": int64(400)})
	slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{ReplaceAttr: dropTime})).Warn("istiod refused a stream", "proxy", "a.b")
	tick(11*time.Second, runtime.Readings{
		"pods.ready": int64(900), "pods.desired": int64(1200), "xds.synced": int64(12), "xds.desired": int64(70),
		"writer.done": int64(4400), "pushes.responses": int64(25), "xds.disconnects": int64(2),
		"pushes.resources": int64(1500), "pushes.bytes": int64(2_400_000),
	})
	event(12*time.Second, "mesh", "createNamespaces", runtime.StatusPassed, nil)
	event(12*time.Second, "mesh", "", runtime.StatusPassed, nil)
	event(12*time.Second, "churn", "", runtime.StatusRunning, nil)
	event(12*time.Second, "churn", "churnPods", runtime.StatusRunning, nil)
	event(14*time.Second, "churn", "churnPods", runtime.StatusFailed, errors.New("no pods\nto churn\x1b[2J"))
	event(14*time.Second, "churn", "", runtime.StatusFailed, nil)
}

func dropTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func newTestProgress(cfg ProgressConfig) (*Progress, *testClock, *strings.Builder) {
	var out strings.Builder
	clock := &testClock{now: start}
	cfg.Out, cfg.Clock, cfg.Phases = &out, clock, []string{"mesh", "churn"}
	return NewProgress(cfg), clock, &out
}

func TestPlainProgress(t *testing.T) {
	t.Parallel()
	p, clock, out := newTestProgress(ProgressConfig{Color: true})
	play(p, clock)
	p.Close()
	want := `00:00  mesh started (1 of 2)
level=WARN msg="istiod refused a stream" proxy=a.b
00:11  pods 900/1,200 · xds 12/70 · pushes 25 (2.5/s) · writes 4,400 (400/s) · disconnects 2 · resources 1,500 · 2.4 MB
00:12  mesh › createNamespaces passed in 12.0s
00:12  mesh passed in 12.0s
00:12  churn started (2 of 2)
00:14  churn › churnPods failed in 2.0s: no pods; to churn�[2J
00:14  churn failed in 2.0s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("plain progress (-want +got):\n%s", diff)
	}
}

func TestQuietProgressPassesLogsOnly(t *testing.T) {
	t.Parallel()
	p, clock, out := newTestProgress(ProgressConfig{Quiet: true, Live: true})
	play(p, clock)
	p.Close()
	if want := "level=WARN msg=\"istiod refused a stream\" proxy=a.b\n"; out.String() != want {
		t.Errorf("quiet printed %q", out.String())
	}
}

func TestLiveProgressLeavesACleanScreen(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 24, 60, 100} {
		p, clock, out := newTestProgress(ProgressConfig{Live: true, Color: true, Width: func() int { return width }})
		columns := width
		if width == 0 {
			columns = 80
		}
		play(p, clock)
		screen := newScreen(columns)
		screen.write(out.String())
		if n := len(screen.lines()); n < 3 || !strings.Contains(screen.lines()[n-2], "starting") {
			t.Errorf("width %d: the block is not at the bottom:\n%s", width, screen)
		}
		if screen.cursor {
			t.Errorf("width %d: the cursor shows while lines are redrawn", width)
		}
		p.Close()
		p.Close()
		screen = newScreen(columns)
		screen.write(out.String())
		if !screen.cursor {
			t.Errorf("width %d: the cursor is not given back", width)
		}
		text := strings.ReplaceAll(screen.String(), "\n", "")
		for _, once := range []string{"createNamespaces passed in 12.0s", "churnPods failed", "refused a stream"} {
			if strings.Count(text, strings.ReplaceAll(once, "\n", "")) != 1 {
				t.Errorf("width %d: %q is not shown exactly once:\n%s", width, once, screen)
			}
		}
		if strings.Contains(text, "▸") {
			t.Errorf("width %d: a redrawn line is left over:\n%s", width, screen)
		}
	}
}

func TestLiveBlock(t *testing.T) {
	t.Parallel()
	p, clock, _ := newTestProgress(ProgressConfig{Live: true, Width: func() int { return 80 }})
	p.Observe(runtime.Event{Time: start, Phase: "churn", Status: runtime.StatusRunning})
	p.Observe(runtime.Event{Time: start, Phase: "churn", Step: "churnPods", Status: runtime.StatusRunning})
	p.Observe(runtime.Event{Time: start, Phase: "churn", Step: "wait", Status: runtime.StatusRunning})
	clock.now = start.Add(75 * time.Second)
	p.Tick(runtime.Readings{"pods.ready": int64(5), "pods.desired": int64(6), "changes.pending": int64(3)})
	want := []string{
		"▸ churn (2 of 2) › churnPods 1m15s, wait 1m15s" + strings.Repeat(" ", 28) + "01:15",
		"  pods 5/6 · pending 3",
	}
	if diff := cmp.Diff(want, p.block()); diff != "" {
		t.Errorf("block (-want +got):\n%s", diff)
	}
}

func TestProgressKeepsHalfALineUntilItEnds(t *testing.T) {
	t.Parallel()
	p, _, out := newTestProgress(ProgressConfig{})
	for _, s := range []string{"one", " line\ntwo", ""} {
		if n, err := p.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	if out.String() != "one line\n" {
		t.Errorf("before the end: %q", out.String())
	}
	p.Close()
	if out.String() != "one line\ntwo\n" {
		t.Errorf("after Close: %q", out.String())
	}
}
