package istiod

import (
	"strings"
	"testing"
)

const metricsBody = `# HELP pilot_xds_pushes Pilot build and send errors for lds, rds, cds and eds.
# TYPE pilot_xds_pushes counter
pilot_xds_pushes{type="cds"} 12
pilot_xds_pushes{type="eds"} 30
# TYPE pilot_proxy_convergence_time histogram
pilot_proxy_convergence_time_bucket{le="0.1"} 3
pilot_proxy_convergence_time_bucket{le="+Inf"} 4
pilot_proxy_convergence_time_sum 0.75
pilot_proxy_convergence_time_count 4
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0.5"} 0.001
go_gc_duration_seconds_sum 2
go_gc_duration_seconds_count 9
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 3.145728e+08
`

func TestSum(t *testing.T) {
	t.Parallel()
	m, err := parseMetrics(strings.NewReader(metricsBody))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		labels map[string]string
		want   float64
		found  bool
	}{
		{"pilot_xds_pushes", nil, 42, true},
		{"pilot_xds_pushes", map[string]string{"type": "eds"}, 30, true},
		{"pilot_xds_pushes", map[string]string{"type": "lds"}, 0, false},
		{"pilot_xds_pushes", map[string]string{"type": "eds", "proxy": "x"}, 0, false},
		{"pilot_proxy_convergence_time_count", nil, 4, true},
		{"pilot_proxy_convergence_time_sum", nil, 0.75, true},
		{"pilot_proxy_convergence_time", nil, 0, false},
		{"go_gc_duration_seconds_count", nil, 9, true},
		{"go_gc_duration_seconds_sum", nil, 2, true},
		{"no_such_count", nil, 0, false},
		{"process_cpu_seconds_total", nil, 12.5, true},
	} {
		got, found := m.Sum(tc.name, tc.labels)
		if got != tc.want || found != tc.found {
			t.Errorf("Sum(%s, %v) = %v, %v; want %v, %v", tc.name, tc.labels, got, found, tc.want, tc.found)
		}
	}
	if v, ok := m.CPUSeconds(); v != 12.5 || !ok {
		t.Errorf("CPUSeconds() = %v, %v", v, ok)
	}
	if v, ok := m.ResidentBytes(); v != 300<<20 || !ok {
		t.Errorf("ResidentBytes() = %v, %v", v, ok)
	}
	if _, ok := (Metrics{}).CPUSeconds(); ok {
		t.Error("an empty scrape has CPU seconds")
	}
}
