package istiod

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
)

// fakeClock stands still; Sleep hands control to the test and returns when the test lets it.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	asleep chan time.Duration // receives each sleep
	wake   chan struct{}
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Unix(1000, 0), asleep: make(chan time.Duration), wake: make(chan struct{})}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case c.asleep <- d:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *fakeClock) After(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

// fakeIstiod serves process metrics that the test sets; "" answers 503.
type fakeIstiod struct {
	mu   sync.Mutex
	body string
}

func (f *fakeIstiod) set(cpu float64, rss int) {
	f.setBody(fmt.Sprintf("process_cpu_seconds_total %g\nprocess_resident_memory_bytes %d\n", cpu, rss))
}

func (f *fakeIstiod) setBody(body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.body = body
}

func (f *fakeIstiod) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.body == "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte(f.body))
}

func newTestMeter(t *testing.T) (*Meter, *fakeIstiod, *fakeClock) {
	t.Helper()
	server, clock := &fakeIstiod{}, newFakeClock()
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	// The interval is also the deadline of a real request, so it is long: only the fake clock counts it.
	m, err := NewMeter(MeterConfig{Client: NewClient(srv.URL, srv.Client()), Interval: time.Minute, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return m, server, clock
}

func readings(m *Meter) runtime.Readings {
	r := runtime.Readings{}
	m.Read(r)
	return r
}

func TestMeterCountsFromTheFirstScrapeAndAcrossRestarts(t *testing.T) {
	t.Parallel()
	m, server, clock := newTestMeter(t)
	if got := readings(m); len(got) != 0 {
		t.Errorf("readings before the first scrape: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server.set(100, 5000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()

	step := func(wantCPU float64, wantRSS int64) {
		t.Helper()
		if d := <-clock.asleep; d != time.Minute {
			t.Errorf("slept %s between scrapes, want the interval", d)
		}
		want := runtime.Readings{"istiod.cpu": wantCPU, "istiod.rss": wantRSS}
		if diff := cmp.Diff(want, readings(m)); diff != "" {
			t.Errorf("readings (-want +got):\n%s", diff)
		}
	}
	step(0, 5000)
	server.set(103, 6000)
	clock.wake <- struct{}{}
	step(3, 6000)
	server.set(2, 4000) // a new process
	clock.wake <- struct{}{}
	step(5, 4000)
	server.setBody("") // one lost scrape keeps the last values
	clock.wake <- struct{}{}
	step(5, 4000)

	clock.advance(6 * time.Minute)
	if got := readings(m); len(got) != 0 {
		t.Errorf("readings six intervals after the last scrape: %v", got)
	}
	cancel()
	<-done
}

func TestMeterSetsDeclaredMeasuresOnly(t *testing.T) {
	t.Parallel()
	m, server, _ := newTestMeter(t)
	server.set(1, 2)
	if err := m.Scrape(t.Context()); err != nil {
		t.Fatal(err)
	}
	declared := map[string]runtime.MeasureType{}
	for _, d := range runtime.Measures() {
		declared[d.Path] = d.Type
	}
	for path, v := range readings(m) {
		var typ runtime.MeasureType
		switch v.(type) {
		case int64:
			typ = runtime.Int
		case float64:
			typ = runtime.Double
		}
		if declared[path] != typ {
			t.Errorf("%s is set as %T and declared as %q", path, v, declared[path])
		}
	}
}

func TestScrapeWithoutProcessMetricsIsAnError(t *testing.T) {
	t.Parallel()
	m, server, _ := newTestMeter(t)
	server.setBody("go_goroutines 3\n")
	if err := m.Scrape(t.Context()); err == nil {
		t.Error("no error for metrics without CPU and memory")
	}
	if got := readings(m); len(got) != 0 {
		t.Errorf("readings: %v", got)
	}
}

func TestNewMeterRefusesHalfAConfig(t *testing.T) {
	t.Parallel()
	if _, err := NewMeter(MeterConfig{Client: NewClient("x", nil), Clock: newFakeClock()}); err == nil {
		t.Error("no error without an interval")
	}
}
