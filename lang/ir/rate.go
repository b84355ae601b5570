package ir

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxRate is the highest rate a scenario may ask for, in arrivals a second.
const MaxRate = 1e6

// Rate is how often something arrives: a constant ("10/s", "1/2s", "90/m"), a ramp, or stages of ramps one after
// another. Past its last stage a rate keeps that stage's end value.
type Rate struct {
	Stages []Stage
}

// Stage is one straight piece of a rate: From to To arrivals a second, over Over. A constant rate is one stage with
// Over 0.
type Stage struct {
	From, To float64
	Over     time.Duration
}

// ConstantRate returns a rate of perSecond arrivals a second.
func ConstantRate(perSecond float64) Rate {
	return Rate{Stages: []Stage{{From: perSecond, To: perSecond}}}
}

// At returns the rate, in arrivals a second, at t after the start.
func (r Rate) At(t time.Duration) float64 {
	if len(r.Stages) == 0 {
		return 0
	}
	for _, s := range r.Stages {
		if t < s.Over {
			return s.From + (s.To-s.From)*float64(t)/float64(s.Over)
		}
		t -= s.Over
	}
	return r.Stages[len(r.Stages)-1].To
}

// Between returns the expected number of arrivals in [from, to), the integral of the rate.
func (r Rate) Between(from, to time.Duration) float64 { return r.until(to) - r.until(from) }

func (r Rate) until(t time.Duration) float64 {
	var sum float64
	for _, s := range r.Stages {
		if t <= s.Over {
			return sum + (s.From+r.lerp(s, t))/2*t.Seconds()
		}
		sum += (s.From + s.To) / 2 * s.Over.Seconds()
		t -= s.Over
	}
	if n := len(r.Stages); n > 0 {
		sum += r.Stages[n-1].To * t.Seconds()
	}
	return sum
}

func (Rate) lerp(s Stage, t time.Duration) float64 {
	if s.Over == 0 {
		return s.From
	}
	return s.From + (s.To-s.From)*float64(t)/float64(s.Over)
}

// ParseRate parses "N/UNIT" or "N/DURATION" and returns arrivals a second: "10/s", "1/2s", "0.5/m". Zero, negative,
// infinite rates and those above [MaxRate] are errors.
func ParseRate(s string) (float64, error) {
	bad := func(why string) (float64, error) {
		return 0, fmt.Errorf("invalid rate %q: %s", s, why)
	}
	num, per, ok := strings.Cut(strings.TrimSpace(s), "/")
	if !ok {
		return bad(`want a count over a time, like "10/s" or "1/2s"`)
	}
	n, err := strconv.ParseFloat(num, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return bad("the count is not a number")
	}
	if per != "" && !strings.ContainsAny(per[:1], "0123456789.") {
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	if err != nil || d <= 0 {
		return bad(`the time is not a duration, like "s", "2s" or "1m"`)
	}
	v := n / d.Seconds()
	switch {
	case n <= 0:
		return bad("must be above zero")
	case v > MaxRate:
		return bad(fmt.Sprintf("above the maximum of %d/s", int(MaxRate)))
	}
	return v, nil
}

// UnmarshalJSON reads a string, a ramp {from, to, over} or {stages: [ramp or {rate, over}, ...]}.
func (r *Rate) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		v, err := ParseRate(s)
		if err != nil {
			return err
		}
		*r = ConstantRate(v)
		return nil
	}
	var form struct {
		ramp
		Stages []ramp `json:"stages"`
	}
	if err := json.Unmarshal(b, &form); err != nil {
		return fmt.Errorf("invalid rate: %w", err)
	}
	if len(form.Stages) == 0 {
		form.Stages = []ramp{form.ramp}
	}
	r.Stages = nil
	for _, p := range form.Stages {
		st, err := p.stage()
		if err != nil {
			return err
		}
		r.Stages = append(r.Stages, st)
	}
	return nil
}

// ramp is a stage as it is typed: {from, to, over}, or {rate, over} for a level one.
type ramp struct {
	From, To string
	Rate     string
	Over     Duration
}

func (p ramp) stage() (Stage, error) {
	if p.Rate != "" {
		p.From, p.To = p.Rate, p.Rate
	}
	from, err := ParseRate(p.From)
	if err != nil {
		return Stage{}, err
	}
	to, err := ParseRate(p.To)
	if err != nil {
		return Stage{}, err
	}
	if p.Over == 0 {
		return Stage{}, fmt.Errorf("invalid rate: a ramp needs a time above zero in \"over\"")
	}
	return Stage{From: from, To: to, Over: p.Over.Std()}, nil
}

func (r Rate) String() string {
	var parts []string
	for _, s := range r.Stages {
		if s.From == s.To {
			parts = append(parts, FormatRate(s.From))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s to %s over %s", FormatRate(s.From), FormatRate(s.To), s.Over))
	}
	return strings.Join(parts, ", then ")
}

// FormatRate prints perSecond in the unit that reads best.
func FormatRate(perSecond float64) string {
	switch {
	case perSecond >= 1:
		return strconv.FormatFloat(perSecond, 'g', 4, 64) + "/s"
	case perSecond*60 >= 1:
		return strconv.FormatFloat(perSecond*60, 'g', 4, 64) + "/m"
	}
	return strconv.FormatFloat(perSecond*3600, 'g', 4, 64) + "/h"
}

// When returns how long after the start the expected number of arrivals reaches n, the inverse of [Rate.Between] from
// zero. It returns false if that never happens or lies past what a duration can hold.
func (r Rate) When(n float64) (time.Duration, bool) {
	var at time.Duration
	last := 0.0
	for _, s := range r.Stages {
		in := (s.From + s.To) / 2 * s.Over.Seconds()
		if n < in {
			return at + seconds(solveRamp(s, n)), true
		}
		n -= in
		at += s.Over
		last = s.To
	}
	if last <= 0 {
		return 0, false
	}
	rest := n / last
	if rest > math.MaxInt64/float64(time.Second)-at.Seconds() {
		return 0, false
	}
	return at + seconds(rest), true
}

// solveRamp returns the time in s, in seconds, at which n arrivals have come: the root of n = From*t + k/2*t^2.
func solveRamp(s Stage, n float64) float64 {
	k := (s.To - s.From) / s.Over.Seconds()
	if k == 0 {
		return n / s.From
	}
	return (math.Sqrt(s.From*s.From+2*k*n) - s.From) / k
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
