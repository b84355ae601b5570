package runtime_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime"
)

// TestStages: what failed is counted and not timed, what nobody recorded has no data, and every reading is declared.
func TestStages(t *testing.T) {
	t.Parallel()
	s := &runtime.Stages{}
	for i := range 100 {
		s.Record(runtime.StageInjection, time.Duration(i+1)*time.Millisecond, nil)
	}
	s.Record(runtime.StageInjection, time.Hour, errors.New("refused"))
	s.Record(runtime.StageCertificate, 0, errors.New("no token"))
	r := runtime.Readings{}
	s.Read(r)
	if r["injection.count"] != int64(100) || r["injection.errors"] != int64(1) || r["certificates.errors"] != int64(1) {
		t.Errorf("readings %v", r)
	}
	if p50 := r["injection.p50"].(time.Duration); p50 < 49*time.Millisecond || p50 > 51*time.Millisecond {
		t.Errorf("median %v of 1 to 100 ms", p50)
	}
	if _, ok := r["certificates.p99"]; ok {
		t.Error("a percentile of nothing")
	}
	declared := map[string]bool{}
	for _, m := range runtime.Measures() {
		declared[m.Path] = true
	}
	for path := range r {
		if !declared[path] {
			t.Errorf("%s is not declared", path)
		}
		if strings.HasPrefix(path, "probe.") {
			t.Errorf("%s has data", path)
		}
	}
	if out := s.Outcomes(); len(out) != 2 || out[0].LastErr == nil || out[0].Mean < 50*time.Millisecond || out[0].Mean > 51*time.Millisecond {
		t.Errorf("outcomes %+v", out)
	}
	(*runtime.Stages)(nil).Record(runtime.StageInjection, 0, nil) // records nothing
}
