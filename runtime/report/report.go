package report

import (
	"strconv"
	"time"
)

// Schema names the format of report.json. Fields may be added under the same name; a field that goes or changes its
// meaning makes a new one. docs/report.md describes every field.
const Schema = "plscript.dev/report/v1"

// Report is everything known about a finished run.
type Report struct {
	Schema     string         `json:"schema"`
	Run        Run            `json:"run"`
	Verdict    Verdict        `json:"verdict"`
	Phases     []Phase        `json:"phases"`
	Thresholds []Threshold    `json:"thresholds"`
	Arrivals   *Arrivals      `json:"arrivals,omitempty"` // of all rate steps; absent if none had any
	Plan       []Planned      `json:"plan"`
	Writes     []Write        `json:"writes"`
	Stages     []Stage        `json:"stages"`
	Sync       []SyncCheck    `json:"sync"`
	Oracle     []OracleCheck  `json:"oracle"`
	Istiods    []Istiod       `json:"istiods"`
	Readings   map[string]any `json:"readings"` // by measure path; durations in seconds
}

// Info is what is known of a run before it starts.
type Info struct {
	ID            string   `json:"id"`
	Scenario      string   `json:"scenario"`
	Description   string   `json:"description,omitempty"`
	File          string   `json:"file"` // as the user named it
	Seed          int64    `json:"seed"`
	Params        []Param  `json:"params"`
	Target        string   `json:"target"`        // in words: "sandbox", "context kind-dev"
	Version       string   `json:"version"`       // plscript's
	IstiodVersion string   `json:"istiodVersion"` // as istiod states it
	Command       []string `json:"command"`       // the command line, program name first
}

// Param is the value of one scenario parameter in this run.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Run is one execution of a scenario.
type Run struct {
	Info
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Duration Seconds   `json:"seconds"`
}

// Verdict is how the run ended.
type Verdict struct {
	Result  Result   `json:"result"`
	Exit    int      `json:"exit"`    // the process's exit code, as the README lists them
	Reasons []string `json:"reasons"` // why it is not a pass, worst first; empty for a pass
}

// Phase is how one phase ended.
type Phase struct {
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	Started  time.Time `json:"started,omitzero"` // absent if it never did
	Duration Seconds   `json:"seconds"`
	Steps    []Step    `json:"steps"`
}

// Step is how one step ended.
type Step struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`          // its action
	Path       string    `json:"path"`          // in the scenario: "phases[1].steps[0]"
	Pos        string    `json:"pos,omitempty"` // "file:line:column"
	Background bool      `json:"background,omitempty"`
	Status     string    `json:"status"`
	Started    time.Time `json:"started,omitzero"` // absent if it never did
	Duration   Seconds   `json:"seconds"`
	Tries      int       `json:"tries"`
	Error      string    `json:"error,omitempty"`    // with its position
	Arrivals   *Arrivals `json:"arrivals,omitempty"` // for a rate step
}

// Threshold is the verdict of one threshold.
type Threshold struct {
	Name    string            `json:"name"`
	Expr    string            `json:"expr"`
	Pos     string            `json:"pos,omitempty"`
	Passed  bool              `json:"passed"`
	NoData  bool              `json:"noData,omitempty"`
	Aborted bool              `json:"aborted,omitempty"` // it stopped the run
	Values  map[string]string `json:"values"`            // the measures it read, as last seen
	Error   string            `json:"error,omitempty"`
}

// Arrivals accounts for the starts of rate steps.
type Arrivals struct {
	Planned  int64    `json:"planned"`
	Started  int64    `json:"started"`
	Dropped  int64    `json:"dropped"`
	Lateness Quantile `json:"latenessSeconds"` // of a start against its due time; p90 is not kept
}

// Quantile is a distribution in a few figures. A figure that was not measured is zero and left out.
type Quantile struct {
	P50 Seconds `json:"p50"`
	P90 Seconds `json:"p90,omitempty"`
	P99 Seconds `json:"p99"`
	Max Seconds `json:"max"`
}

// Planned is how many writes of one sort the plan of the scenario counts.
type Planned struct {
	Group string `json:"group,omitempty"` // API group; absent for the core
	Kind  string `json:"kind"`
	Verb  string `json:"verb"`
	Count int64  `json:"count"`
	// Derived writes are not a step's own: the fake kubelet and the controllers make them. Coalescing may make fewer.
	Derived bool `json:"derived,omitempty"`
}

// Write is what became of the writes of one kind and verb.
type Write struct {
	Group      string   `json:"group,omitempty"` // API group; absent for the core
	Kind       string   `json:"kind"`
	Verb       string   `json:"verb"`
	Done       int64    `json:"done"`
	Superseded int64    `json:"superseded"` // merged into a later write of the same object
	Failed     int64    `json:"failed"`
	Dropped    int64    `json:"dropped"`
	Stored     int64    `json:"stored,omitempty"` // of those done: written past the api-server
	Requests   int64    `json:"requests"`         // sent, repeats included
	Retries    int64    `json:"retries"`
	Latency    Quantile `json:"latencySeconds"` // of requests that succeeded
}

// Stage is something that was done many times besides writing and pushing: an injection, a certificate, a probe.
type Stage struct {
	Stage     string   `json:"stage"` // also the path of its measures
	Doc       string   `json:"doc"`   // what one of it is
	Done      int64    `json:"done"`
	Errors    int64    `json:"errors"`
	Mean      Seconds  `json:"mean"` // of those that were done, as the next
	Time      Quantile `json:"seconds"`
	LastError string   `json:"lastError,omitempty"`
	// Curve shows how the time grew: with the number of routes, for a probe. It is thinned to a thousand points.
	Curve []CurvePoint `json:"curve,omitempty"`
}

// CurvePoint is one of a stage: how many there were, and how long it took.
type CurvePoint struct {
	At   int     `json:"at"`
	Took Seconds `json:"seconds"`
}

// Seconds is a duration that JSON holds as a number of seconds, down to the nanosecond.
type Seconds time.Duration

// MarshalJSON writes decimal seconds, never an exponent.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads what [Seconds.MarshalJSON] writes.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return err
	}
	*s = Seconds(v * float64(time.Second))
	return nil
}
