package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// plainEvery is how often a run that is not on a terminal says how it is doing.
const plainEvery = 10 * time.Second

// ProgressConfig sets up a [Progress]. Out and Clock are needed.
type ProgressConfig struct {
	Out   io.Writer // standard error
	Clock runtime.Clock
	Live  bool       // Out is a terminal: two lines at its bottom are redrawn in place
	Color bool       // ANSI colours, where Live
	Quiet bool       // no progress at all; what is written to it still passes through
	Width func() int // columns of the terminal, asked at each redraw; nil or a result below 20 means 80
	// Results is where result lines go, standard output; nil if that is the terminal which Out is, too.
	Results io.Writer
	Phases  []string // the scenario's phases in order, to say "2 of 4"
}

// Progress shows a run while it lasts. It implements [runtime.Observer], and io.Writer for log lines, which on a
// terminal appear above the lines that are redrawn. It is safe for concurrent use. Errors of Out are ignored: a run does
// not fail because nobody watches it.
type Progress struct {
	cfg     ProgressConfig
	started time.Time

	mu       sync.Mutex
	running  []activity // phases and steps under way, in order of their start
	readings runtime.Readings
	rates    rates
	said     time.Time // when a plain line was last printed
	partial  []byte    // a log line that has not ended
	drawn    int       // lines of the redrawn block on the screen
	closed   bool
}

// activity is a phase (step "") or a step under way.
type activity struct {
	phase, step string
	since       time.Time
}

// NewProgress returns a Progress whose stopwatch starts now.
func NewProgress(cfg ProgressConfig) *Progress {
	now := cfg.Clock.Now()
	cfg.Live = cfg.Live && !cfg.Quiet
	cfg.Color = cfg.Color && cfg.Live
	return &Progress{cfg: cfg, started: now, said: now}
}

// Observe implements [runtime.Observer].
func (p *Progress) Observe(e runtime.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cfg.Quiet {
		return
	}
	p.emit(p.note(e))
}

// Tick shows new readings. It is meant to be called about once a second; the pushes and writes a second that are shown
// are those between two ticks.
func (p *Progress) Tick(r runtime.Readings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cfg.Quiet {
		return
	}
	now := p.cfg.Clock.Now()
	p.readings = r
	p.rates.update(now, r)
	line := ""
	if !p.cfg.Live && now.Sub(p.said) >= plainEvery {
		line = p.stamp(now) + p.status()
	}
	p.emit(line)
}

// Write prints whole lines above the progress; the rest of an unfinished line waits for its end. It never fails.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, b...)
	if i := bytes.LastIndexByte(p.partial, '\n'); i >= 0 {
		line := string(p.partial[:i])
		p.partial = slices.Delete(p.partial, 0, i+1)
		p.emit(line)
	}
	return len(b), nil
}

// Result implements [runtime.Results].
func (p *Progress) Result(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line = clean(line)
	switch {
	case p.cfg.Quiet:
	case p.cfg.Results != nil:
		_, _ = fmt.Fprintln(p.cfg.Results, line)
	default:
		p.emit(line)
	}
}

// Close takes the redrawn lines off the screen and gives the cursor back. After it only Write does anything.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.emit(string(p.partial))
	p.partial = nil
}

// note keeps track of what runs, and returns the line that tells of e, "" for none.
func (p *Progress) note(e runtime.Event) string {
	same := func(a activity) bool { return a.phase == e.Phase && a.step == e.Step }
	i := slices.IndexFunc(p.running, same)
	if e.Status == runtime.StatusRunning {
		if i < 0 {
			p.running = append(p.running, activity{e.Phase, e.Step, e.Time})
		}
		if e.Step != "" || p.cfg.Live {
			return "" // a terminal shows it at the bottom; elsewhere the end of a step says enough
		}
		return p.stamp(e.Time) + fmt.Sprintf("%s started%s", clean(e.Phase), p.place(e.Phase))
	}
	took := ""
	if i >= 0 {
		took = " in " + duration(e.Time.Sub(p.running[i].since))
		p.running = slices.Delete(p.running, i, i+1)
	}
	if e.Step == "" && e.Status == runtime.StatusPassed && p.cfg.Live {
		return ""
	}
	line := p.stamp(e.Time) + strings.TrimSuffix(clean(e.Phase)+" › "+clean(e.Step), " › ") + " " + p.word(e.Status) + took
	if e.Err != nil {
		line += ": " + strings.ReplaceAll(clean(e.Err.Error()), "\n", "; ")
	}
	return line
}

// place is " (2 of 4)" for a phase whose place is known.
func (p *Progress) place(phase string) string {
	if i := slices.Index(p.cfg.Phases, phase); i >= 0 {
		return fmt.Sprintf(" (%d of %d)", i+1, len(p.cfg.Phases))
	}
	return ""
}

func (p *Progress) stamp(now time.Time) string {
	p.said = now
	return paint(clockTime(now.Sub(p.started)), dim, p.cfg.Color) + "  "
}

func (p *Progress) word(s runtime.Status) string {
	st := dim
	switch s {
	case runtime.StatusPassed:
		st = green
	case runtime.StatusFailed:
		st = red
	case runtime.StatusTolerated, runtime.StatusCancelled:
		st = yellow
	}
	return paint(string(s), st, p.cfg.Color)
}
