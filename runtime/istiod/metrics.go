package istiod

import (
	"context"
	"fmt"
	"io"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is one scrape of istiod's /metrics.
type Metrics struct {
	families map[string]*dto.MetricFamily
}

// Metrics scrapes istiod. The address must be the monitoring one.
func (c *Client) Metrics(ctx context.Context) (Metrics, error) {
	var m Metrics
	err := c.get(ctx, "/metrics", func(body io.Reader) error {
		var err error
		m, err = parseMetrics(body)
		return err
	})
	return m, err
}

func parseMetrics(r io.Reader) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return Metrics{}, fmt.Errorf("not Prometheus text: %w", err)
	}
	return Metrics{families: families}, nil
}

// Sum adds up the series of name whose labels include all of labels; false if there is none. Counters, gauges and
// untyped metrics have their value; of a histogram or summary name "x", ask for "x_count" or "x_sum".
func (m Metrics) Sum(name string, labels map[string]string) (float64, bool) {
	value := seriesValue
	family, ok := m.families[name]
	if base, isCount := strings.CutSuffix(name, "_count"); !ok && isCount {
		family, value = m.families[base], sampleCount
	} else if base, isSum := strings.CutSuffix(name, "_sum"); !ok && isSum {
		family, value = m.families[base], sampleSum
	}
	var sum float64
	found := false
	for _, series := range family.GetMetric() {
		if v, ok := value(series); ok && matches(series, labels) {
			sum += v
			found = true
		}
	}
	return sum, found
}

// CPUSeconds is the CPU time istiod's process has used since it started; false where its platform does not say.
func (m Metrics) CPUSeconds() (float64, bool) { return m.Sum("process_cpu_seconds_total", nil) }

// ResidentBytes is istiod's resident memory; false where its platform does not say.
func (m Metrics) ResidentBytes() (int64, bool) {
	v, ok := m.Sum("process_resident_memory_bytes", nil)
	return int64(v), ok
}

func matches(series *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, l := range series.GetLabel() {
		if want, ok := labels[l.GetName()]; ok {
			if want != l.GetValue() {
				return false
			}
			found++
		}
	}
	return found == len(labels)
}

func seriesValue(m *dto.Metric) (float64, bool) {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue(), true
	case m.Gauge != nil:
		return m.Gauge.GetValue(), true
	case m.Untyped != nil:
		return m.Untyped.GetValue(), true
	}
	return 0, false
}

func sampleCount(m *dto.Metric) (float64, bool) {
	switch {
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount()), true
	case m.Summary != nil:
		return float64(m.Summary.GetSampleCount()), true
	}
	return 0, false
}

func sampleSum(m *dto.Metric) (float64, bool) {
	switch {
	case m.Histogram != nil:
		return m.Histogram.GetSampleSum(), true
	case m.Summary != nil:
		return m.Summary.GetSampleSum(), true
	}
	return 0, false
}
