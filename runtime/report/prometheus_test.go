package report

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/plscript/plscript/runtime"
)

// TestExporter scrapes as Prometheus does.
func TestExporter(t *testing.T) {
	t.Parallel()
	e := NewExporter(Info{ID: "7k2m9x", Scenario: `am"bient`})
	scrape := func() map[string]float64 {
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for name, f := range families {
			if f.GetHelp() == "" {
				t.Errorf("%s has no help", name)
			}
			out[name] = f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
		return out
	}
	if got := scrape(); len(got) != 1 || got["plscript_run_info"] != 1 {
		t.Errorf("before the first tick: %v", got)
	}
	e.Tick(runtime.Readings{
		"changes.endpoint.firstP50": 250 * time.Millisecond, "pods.ready": int64(7), "istiod.cpu": 1.5, "istiod.rss": int64(9), "pushes.bytes": int64(80),
		"xds.eds.nacks": int64(2), "writer.p99": time.Second, "from.another.version": int64(1), "pods.desired": "seven",
	})
	want := map[string]float64{
		"plscript_run_info": 1, "plscript_changes_endpoint_first_p50_seconds": 0.25, "plscript_pods_ready": 7, "plscript_istiod_cpu_seconds_total": 1.5,
		"plscript_istiod_rss_bytes": 9, "plscript_pushes_bytes_total": 80, "plscript_xds_eds_nacks_total": 2, "plscript_writer_p99_seconds": 1,
	}
	got := scrape()
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s = %v, want %v", name, got[name], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
}

// TestMetricNames: every measure has a name of its own that Prometheus takes.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for path, name := range MetricNames() {
		if !model.LegacyValidation.IsValidMetricName(name) || strings.ContainsAny(name, ".") {
			t.Errorf("%s: %q is no name", path, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s are both %s", path, other, name)
		}
		seen[name] = path
	}
}
