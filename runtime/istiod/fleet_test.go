package istiod

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// oneOfMany is an istiod with that much CPU time and memory, and one proxy.
func oneOfMany(t *testing.T, proxy string, cpu, rss int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			fmt.Fprintf(w, "process_cpu_seconds_total %d\nprocess_resident_memory_bytes %d\npilot_xds_pushes{type=\"eds\"} %d\n", cpu, rss, rss)
		case "/debug/syncz":
			fmt.Fprintf(w, `[{"proxy": %q}]`, proxy)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestAFleetIsTheSumOfItsIstiods(t *testing.T) {
	t.Parallel()
	one, two := oneOfMany(t, "a.ns", 5, 100), oneOfMany(t, "b.ns", 7, 30)
	fleet := Fleet{NewClient(one.URL, nil), NewClient(two.URL, nil)}
	proxies, err := fleet.Syncz(t.Context())
	if err != nil || len(proxies) != 2 || proxies[0].ID != "a.ns" || proxies[1].ID != "b.ns" {
		t.Errorf("syncz %+v, %v", proxies, err)
	}
	m, err := fleet.NewMeter(MeterConfig{Interval: time.Minute, Clock: runtimetest.Clock{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m[0].Scrape(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := runtime.Readings{}
	m.Read(r)
	if len(r) > 0 {
		t.Errorf("%v, although one istiod was not read", r)
	}
	if err := m[1].Scrape(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Read(r)
	if r["istiod.rss"] != int64(130) || r["istiod.cpu"] != 0.0 {
		t.Errorf("%v, want 130 bytes, and no CPU since the first scrape", r)
	}
	if v, ok := m.Metric("pilot_xds_pushes", map[string]string{"type": "eds"}); !ok || v != 130 {
		t.Errorf("metric %v, %v", v, ok)
	}
	if _, ok := m.Metric("none", nil); ok {
		t.Error("a metric that no istiod has")
	}
	two.Close()
	if _, err := fleet.Syncz(t.Context()); err == nil {
		t.Error("no error when one istiod is gone")
	}
}

func TestAnEmptyFleetHasNoData(t *testing.T) {
	t.Parallel()
	r := runtime.Readings{}
	FleetMeter{}.Read(r)
	if len(r) > 0 {
		t.Error(r)
	}
}
