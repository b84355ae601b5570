package report

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/plscript/plscript/runtime"
)

// Exporter shows a run's measures to Prometheus while it lasts: each one that has data, as of the last tick. It is an
// [http.Handler], safe for concurrent use.
type Exporter struct {
	info Info

	mu       sync.Mutex
	readings runtime.Readings
}

// NewExporter returns one for the run that info tells of.
func NewExporter(info Info) *Exporter { return &Exporter{info: info} }

// Tick takes new readings, which are not changed any more.
func (e *Exporter) Tick(r runtime.Readings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readings = r
}

// ServeHTTP implements [http.Handler].
func (e *Exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.Negotiate(r.Header)
	w.Header().Set("Content-Type", string(format))
	_ = e.write(w, format) // nobody is left to tell
}

func (e *Exporter) write(w io.Writer, format expfmt.Format) error {
	e.mu.Lock()
	readings := e.readings
	e.mu.Unlock()
	enc := expfmt.NewEncoder(w, format)
	for _, f := range append([]*dto.MetricFamily{e.run()}, families(readings)...) {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// run says which run it is.
func (e *Exporter) run() *dto.MetricFamily {
	var labels []*dto.LabelPair
	for _, l := range [][2]string{{"istiod", e.info.IstiodVersion}, {"run", e.info.ID}, {"scenario", e.info.Scenario}, {"version", e.info.Version}} {
		labels = append(labels, &dto.LabelPair{Name: &l[0], Value: &l[1]})
	}
	f := family("plscript_run_info", "The run that is under way.", dto.MetricType_GAUGE, 1)
	f.Metric[0].Label = labels
	return f
}

// families are the readings that are declared, sorted by name.
func families(readings runtime.Readings) []*dto.MetricFamily {
	declared := map[string]runtime.Measure{}
	for _, m := range runtime.Measures() {
		declared[m.Path] = m
	}
	var out []*dto.MetricFamily
	for _, path := range slices.Sorted(maps.Keys(readings)) {
		m, ok := declared[path]
		v, isNumber := exported(readings[path])
		if !ok || !isNumber {
			continue
		}
		kind := dto.MetricType_GAUGE
		if counts(m) {
			kind = dto.MetricType_COUNTER
		}
		out = append(out, family(metricName(m), m.Doc, kind, v))
	}
	return out
}

func family(name, help string, kind dto.MetricType, v float64) *dto.MetricFamily {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: &v}}
	if kind == dto.MetricType_COUNTER {
		m = &dto.Metric{Counter: &dto.Counter{Value: &v}}
	}
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{m}}
}

// exported is a reading as Prometheus has numbers: durations in seconds.
func exported(v any) (float64, bool) {
	switch v := v.(type) {
	case time.Duration:
		return v.Seconds(), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// counted are the endings of measures that only grow within a run.
var counted = []string{
	"responses", "resources", "removed", "bytes", "nacks", "disconnects", "rejected", "done", "errors", "superseded", "dropped", "retries",
	"throttled", "wasted", "unchanged", "count", "cpu",
}

func counts(m runtime.Measure) bool {
	return m.Type != runtime.Duration && slices.Contains(counted, m.Path[strings.LastIndexByte(m.Path, '.')+1:])
}

// MetricNames are the names that an [Exporter] may use, by measure.
func MetricNames() map[string]string {
	out := map[string]string{}
	for _, m := range runtime.Measures() {
		out[m.Path] = metricName(m)
	}
	return out
}

// metricName is a measure's name by Prometheus' rules: "plscript_changes_endpoint_first_p50_seconds".
func metricName(m runtime.Measure) string {
	var b strings.Builder
	b.WriteString("plscript_")
	for _, r := range m.Path {
		switch {
		case r == '.':
			b.WriteByte('_')
		case unicode.IsUpper(r):
			b.WriteString("_" + string(unicode.ToLower(r)))
		default:
			b.WriteRune(r)
		}
	}
	switch {
	case m.Type == runtime.Duration:
		b.WriteString("_seconds")
	case strings.HasSuffix(m.Path, ".cpu"):
		b.WriteString("_seconds")
	case strings.HasSuffix(m.Path, ".rss"):
		b.WriteString("_bytes")
	}
	if counts(m) {
		b.WriteString("_total")
	}
	return b.String()
}
