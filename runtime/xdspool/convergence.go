package xdspool

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/plscript/plscript/runtime"
)

// Convergence times are kept in microseconds, up to an hour, to three digits.
const (
	longest = int64(time.Hour / time.Microsecond)
	digits  = 3
)

// convergence is what is known of the changes of one kind. Its size does not depend on how many there were.
type convergence struct {
	count, pending, unobserved int
	pairs, first, last         *hdrhistogram.Histogram

	cached   *percentiles
	cachedAt time.Time
}

// percentiles of the convergence of one kind at one moment.
type percentiles struct {
	p50, p90, p99, max time.Duration // over all pairs
	firstP50, lastP99  time.Duration // over all changes
}

// staleness is how old percentiles may be while changes are pending and their age counts.
const staleness = 20 * time.Millisecond

func newConvergence() *convergence {
	h := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, digits) }
	return &convergence{pairs: h(), first: h(), last: h()}
}

// record adds d to one of the histograms.
func (k *convergence) record(h *hdrhistogram.Histogram, d time.Duration) {
	k.cached = nil
	recordTimes(h, d, 1)
}

// recordTimes records d n times, an hour if it is longer. In these bounds recording cannot fail.
func recordTimes(h *hdrhistogram.Histogram, d time.Duration, n int) {
	_ = h.RecordValues(min(max(d.Microseconds(), 0), longest), int64(n))
}

// percentiles returns those of a kind at now, where pending changes count with their age, and false if there is nothing
// to count.
func (t *tracker) percentiles(kind runtime.ChangeKind, now time.Time) (percentiles, bool) {
	k := t.kinds[kind]
	if k.count == k.unobserved {
		return percentiles{}, false
	}
	if k.cached != nil && (k.pending == 0 || now.Sub(k.cachedAt) < staleness) {
		return *k.cached, true
	}
	pairs, first, last := k.pairs, k.first, k.last
	if k.pending > 0 || len(t.open) > 0 {
		pairs, first, last = pairs.Clone(), first.Clone(), last.Clone()
		for ch := range t.pending {
			if !ch.written || ch.Kind != kind {
				continue
			}
			if ch.settled {
				recordTimes(last, ch.last, min(ch.pairs, 1)) // one that shows nowhere has no time
				continue
			}
			age := now.Sub(ch.Scheduled)
			recordTimes(pairs, age, ch.left)
			recordTimes(last, max(age, ch.last), 1)
			if ch.pairs > 0 {
				age = ch.first
			}
			recordTimes(first, age, 1)
		}
	}
	v := pairs.ValueAtPercentilesSlice([]float64{50, 90, 99, 100})
	k.cached = &percentiles{
		p50: micros(v[0]), p90: micros(v[1]), p99: micros(v[2]), max: micros(v[3]),
		firstP50: micros(first.ValueAtPercentile(50)),
		lastP99:  micros(last.ValueAtPercentile(99)),
	}
	k.cachedAt = now
	return *k.cached, true
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
