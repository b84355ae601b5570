package runtime

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Stage is something that is done many times besides writing and pushing, and whose duration counts. Its name is the path
// of its measures.
type Stage string

// The stages.
const (
	StageInjection   Stage = "injection"    // an AdmissionReview for a pod
	StageAdmission   Stage = "admission"    // the write of a pod that the api-server had injected
	StageCertificate Stage = "certificates" // a certificate signing request
	StageDemand      Stage = "xds.demand"   // an address that a ztunnel asks for
	StageProbeXDS    Stage = "probe.xds"    // from the write of a route until the gateway proxy has it
	StageProbeHTTP   Stage = "probe.http"   // from the write of a route until traffic follows it

	// Those of a pod that is started to be measured, as the action podStartup says.
	StageStartupScheduled Stage = "startup.scheduled" // from the write of the pod until its first init container starts
	StageStartupInit      Stage = "startup.init"      // from there until the application's container starts
	StageStartupReady     Stage = "startup.ready"     // from there until that container is ready
	StageStartupFullReady Stage = "startup.fullReady" // from the container's start until the pod is Ready
	StageStartup          Stage = "startup.complete"  // from the write of the pod until it is Ready
)

// stageDocs says what each stage is, in the order that reports show them.
var stageDocs = []struct {
	Stage Stage
	Doc   string // completes "The number of ...", "the time of ..."
}{
	{StageInjection, "requests to istiod's injection webhook"},
	{StageAdmission, "creates of pods for which the api-server called istiod's injection webhook"},
	{StageCertificate, "certificate signing requests"},
	{StageDemand, "addresses that ztunnels have asked for on demand, from the need until the ACK of the answer"},
	{StageProbeXDS, "probed routes, from their write until the gateway proxy has them"},
	{StageProbeHTTP, "probed routes, from their write until traffic follows them"},
	{StageStartupScheduled, "started pods, from their write until the first init container starts"},
	{StageStartupInit, "started pods, from there until the application's container starts"},
	{StageStartupReady, "started pods, from there until that container is ready"},
	{StageStartupFullReady, "started pods, from the container's start until the pod is Ready"},
	{StageStartup, "started pods, from their write until they are Ready"},
}

// Stages counts and times what is done in stages. It is a [Meter], safe for concurrent use, and bounded however much is
// recorded; the zero value is ready, a nil one records nothing.
type Stages struct {
	Notify Notifier // told when there is something new; may be nil

	mu  sync.Mutex
	all map[Stage]*stageStats
}

type stageStats struct {
	count, errors int64
	times         *hdrhistogram.Histogram // microseconds
	lastErr       error
	curve         curve
}

// Record notes that one of a stage has ended: well, after took, or with err, which is counted apart.
func (s *Stages) Record(stage Stage, took time.Duration, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.all == nil {
		s.all = map[Stage]*stageStats{}
	}
	st := s.all[stage]
	if st == nil {
		st = &stageStats{times: hdrhistogram.New(1, time.Hour.Microseconds(), 3)}
		s.all[stage] = st
	}
	if err != nil {
		st.errors++
		st.lastErr = err
	} else {
		st.count++
		// Within these bounds recording cannot fail.
		_ = st.times.RecordValue(min(max(took.Microseconds(), 1), time.Hour.Microseconds()))
	}
	s.mu.Unlock()
	if s.Notify != nil {
		s.Notify.Notify()
	}
}

// StageOutcome sums up a stage at the end of a run.
type StageOutcome struct {
	Stage              Stage
	Doc                string
	Count, Errors      int64
	P50, P90, P99, Max time.Duration // of those that ended well
	Mean               time.Duration
	LastErr            error        // why the last failed one did, nil if none failed
	Curve              []CurvePoint // for a stage whose ones have a place on a curve; at most a thousand of them
}

// Outcomes returns the stages that something was recorded for.
func (s *Stages) Outcomes() []StageOutcome {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []StageOutcome
	for _, d := range stageDocs {
		st := s.all[d.Stage]
		if st == nil {
			continue
		}
		at := func(q float64) time.Duration { return time.Duration(st.times.ValueAtPercentile(q)) * time.Microsecond }
		out = append(out, StageOutcome{
			Stage: d.Stage, Doc: d.Doc, Count: st.count, Errors: st.errors, P50: at(50), P90: at(90), P99: at(99), Max: at(100),
			Mean: time.Duration(st.times.Mean() * float64(time.Microsecond)), LastErr: st.lastErr,
			Curve: slices.Clone(st.curve.points),
		})
	}
	return out
}

// Read implements [Meter]. A stage that nothing was recorded for has no data.
func (s *Stages) Read(r Readings) {
	for _, o := range s.Outcomes() {
		p := string(o.Stage)
		r[p+".count"], r[p+".errors"] = o.Count, o.Errors
		if o.Count > 0 {
			r[p+".p50"], r[p+".p90"], r[p+".p99"], r[p+".max"] = o.P50, o.P90, o.P99, o.Max
		}
	}
}

func stageMeasures() []Measure {
	var ms []Measure
	for _, d := range stageDocs {
		p := string(d.Stage)
		ms = append(ms,
			Measure{p + ".count", Int, fmt.Sprintf("The number of %s that ended well.", d.Doc)},
			Measure{p + ".errors", Int, fmt.Sprintf("The number of %s that failed.", d.Doc)},
			Measure{p + ".p50", Duration, fmt.Sprintf("Median time of %s.", d.Doc)},
			Measure{p + ".p90", Duration, "90th percentile of the same."},
			Measure{p + ".p99", Duration, "99th percentile of the same."},
			Measure{p + ".max", Duration, "The longest of the same."})
	}
	return ms
}
