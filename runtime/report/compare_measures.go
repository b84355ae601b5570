package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

// Failures of which fewer are better, whatever they are of, and costs, which follow from the load: two runs of one
// scenario with one seed make the same.
var (
	lessEndings = []string{"errors", "nacks", "disconnects", "dropped", "unanswered", "wasted", "unchanged", "throttled", "pending"}
	lessPaths   = []string{"istiod.cpu", "istiod.rss", "loadgen.cpu", "loadgen.rss", "pushes.responses", "pushes.resources", "pushes.bytes"}
)

// lessIsBetter reports whether a run with less of the measure is the better one. How often istiod's admission refused
// (xds.rejected) or how much was written says nothing of that kind.
func lessIsBetter(path string, typ runtime.MeasureType) bool {
	last := path[strings.LastIndexByte(path, '.')+1:]
	return typ == runtime.Duration || slices.Contains(lessEndings, last) || slices.Contains(lessPaths, path)
}

// noise is a difference that says nothing: a scheduler's tick, a page of memory.
func noise(path string, typ runtime.MeasureType) float64 {
	switch {
	case typ == runtime.Duration:
		return time.Millisecond.Seconds()
	case strings.HasSuffix(path, ".cpu"):
		return 0.1 // seconds
	case strings.HasSuffix(path, ".rss"):
		return 1 << 20
	}
	return 0
}

// headline are the measures that a comparison shows even where they are as before.
func headline(path string) bool {
	for _, prefix := range []string{"changes.", "istiod.", "loadgen.", "pushes.", "writer.p99"} {
		if strings.HasPrefix(path, prefix) && !strings.HasSuffix(path, ".count") {
			return true
		}
	}
	return false
}

// values are the two values as they are printed; "-" is no data.
func (m *MeasureChange) values() (base, next string) {
	base, next = showValue(m.Path, m.Type, m.Base), showValue(m.Path, m.Type, m.New)
	switch m.Change {
	case ChangeNew:
		base = "-"
	case ChangeGone:
		next = "-"
	}
	return base, next
}

// ratio is the ratio as it is printed: "1.42×"; "" where there is none.
func (m *MeasureChange) ratio() string {
	switch {
	case math.IsNaN(m.Ratio):
		return ""
	case math.IsInf(m.Ratio, 0):
		return "from 0"
	case m.Ratio >= 100:
		return fmt.Sprintf("%.0f×", m.Ratio)
	}
	return fmt.Sprintf("%.2f×", m.Ratio)
}

func (m *MeasureChange) reason() string {
	base, next := m.values()
	if m.Change == ChangeGone {
		return fmt.Sprintf("%s has no data any more; it was %s", m.Path, base)
	}
	if math.IsInf(m.Ratio, 0) {
		return fmt.Sprintf("%s rose from %s to %s", m.Path, base, next)
	}
	return fmt.Sprintf("%s rose from %s to %s (%s)", m.Path, base, next, m.ratio())
}
