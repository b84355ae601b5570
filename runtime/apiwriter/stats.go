package apiwriter

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/plscript/plscript/runtime"
)

// Latencies are kept from 1 microsecond to 2 minutes within 1 %.
const (
	latencyMax    = int64(2 * time.Minute / time.Microsecond)
	latencyDigits = 2
)

// Row is the account of one kind and verb. Done, Superseded, Failed and Dropped add up to what was submitted, once
// nothing is under way.
type Row struct {
	Group, Kind string
	Verb        runtime.Verb

	Done, Superseded, Failed, Dropped int64

	Requests  int64 // attempts; what an attempt reads first is not counted
	Retries   int64 // attempts after the first of a write
	Throttled int64 // attempts answered with 429
	Stored    int64 // of those done: written past the api-server

	P50, P90, P99, Max time.Duration // of attempts that succeeded
}

// Stats is the account of a writer, sorted by kind and verb, and its sum.
type Stats struct {
	Rows  []Row
	Total Row // Kind and Verb are empty
}

// Stats returns the account so far.
func (w *Writer) Stats() Stats { return w.stats.read() }

// Read implements [runtime.Meter]: the measures of writer and those of created objects.
func (w *Writer) Read(r runtime.Readings) {
	r["writer.inflight"] = w.inflight.Load()
	r["writer.pending"] = int64(w.queue.pending())
	w.stats.meter(r)
	w.ledger.read(r)
}

// series is the account of one kind and verb. It is guarded by the recorder's mutex.
type series struct {
	row     Row
	latency *hdrhistogram.Histogram
}

func newSeries(row Row) *series {
	return &series{row: row, latency: hdrhistogram.New(1, latencyMax, latencyDigits)}
}

// account names a series.
type account struct {
	group, kind string
	verb        runtime.Verb
}

// recorder counts each event in the series of its kind and verb and in the total.
type recorder struct {
	mu     sync.Mutex
	series map[account]*series
	total  *series
}

func newRecorder() *recorder {
	return &recorder{series: map[account]*series{}, total: newSeries(Row{})}
}

// of finds the series that a write counts in.
func (r *recorder) of(t target, verb runtime.Verb) *series {
	key := account{t.id.group, t.id.kind, verb}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.series[key]
	if s == nil {
		s = newSeries(Row{Group: key.group, Kind: key.kind, Verb: verb})
		r.series[key] = s
	}
	return s
}

// request counts one attempt, the nth of its write; stored says that it went past the api-server.
func (r *recorder) request(s *series, nth int, stored bool, err error) {
	throttled := err != nil && apierrors.IsTooManyRequests(err) // which allocates before it sees that there is none
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range [...]*Row{&s.row, &r.total.row} {
		row.Requests++
		if nth > 1 {
			row.Retries++
		}
		if throttled {
			row.Throttled++
		}
		if stored {
			row.Stored++
		}
	}
}

// fate counts the end of one write.
func (r *recorder) fate(s *series, res runtime.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.end(res)
	r.total.end(res)
}

func (s *series) end(res runtime.Result) {
	switch res.Fate {
	case runtime.FateDone:
		s.row.Done++
		// A latency above the range is still the slowest.
		_ = s.latency.RecordValue(min(latencyMax, max(1, res.Latency.Microseconds())))
	case runtime.FateSuperseded:
		s.row.Superseded++
	case runtime.FateFailed:
		s.row.Failed++
	case runtime.FateDropped:
		s.row.Dropped++
	}
}

func (r *recorder) read() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Stats{Total: r.total.read()}
	for _, s := range r.series {
		st.Rows = append(st.Rows, s.read())
	}
	slices.SortFunc(st.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Verb, b.Verb))
	})
	return st
}

func (s *series) read() Row {
	row := s.row
	row.P50, row.P90, row.P99 = s.quantile(50), s.quantile(90), s.quantile(99)
	row.Max = time.Duration(s.latency.Max()) * time.Microsecond
	return row
}

func (s *series) quantile(q float64) time.Duration {
	return time.Duration(s.latency.ValueAtQuantile(q)) * time.Microsecond
}

func (r *recorder) meter(out runtime.Readings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.total.row
	out["writer.done"] = t.Done
	out["writer.errors"] = t.Failed
	out["writer.superseded"] = t.Superseded
	out["writer.dropped"] = t.Dropped
	out["writer.retries"] = t.Retries
	out["writer.throttled"] = t.Throttled
	if t.Done > 0 {
		out["writer.p99"] = r.total.quantile(99)
	}
}
