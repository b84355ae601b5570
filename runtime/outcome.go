package runtime

import (
	"time"

	"github.com/plscript/plscript/lang/ir"
)

// ExitCode is how plscript tells a shell or CI what happened.
type ExitCode int

// The exit codes.
const (
	ExitPass        ExitCode = 0
	ExitInternal    ExitCode = 1   // an error of plscript's own
	ExitUsage       ExitCode = 2   // bad usage or an invalid scenario
	ExitTarget      ExitCode = 3   // the target is not usable
	ExitAction      ExitCode = 4   // an action failed
	ExitThreshold   ExitCode = 5   // a threshold was breached or had no data
	ExitInvalid     ExitCode = 6   // plscript could not keep up: the figures mean nothing
	ExitCleanup     ExitCode = 7   // the cleanup left something behind
	ExitInterrupted ExitCode = 130 // SIGINT or SIGTERM, cleaned up
)

// precedence says which code wins when several hold.
var precedence = []ExitCode{ExitInterrupted, ExitInternal, ExitTarget, ExitAction, ExitInvalid, ExitThreshold, ExitCleanup, ExitUsage}

// WorstExit returns the code that wins among codes; ExitPass if there is none.
func WorstExit(codes ...ExitCode) ExitCode {
	for _, p := range precedence {
		for _, c := range codes {
			if c == p {
				return c
			}
		}
	}
	return ExitPass
}

// Status is where a phase or step stands.
type Status string

// The statuses.
const (
	StatusPending   Status = "pending"
	StatusRunning   Status = "running"
	StatusPassed    Status = "passed"
	StatusSkipped   Status = "skipped"   // its `when` was false
	StatusTolerated Status = "tolerated" // it failed and `onError` is "continue"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled" // stopped because something else failed or the run was interrupted
)

// Outcome is what a run did and how it ended, before reports and cleanup.
type Outcome struct {
	Started, Ended time.Time
	Phases         []PhaseOutcome
	Thresholds     []ThresholdOutcome
	Readings       Readings // at the end of the last phase, before cleanup
	Arrivals       Arrivals // of all rate steps
	Stages         []StageOutcome
	Invalid        []string // why the run's figures mean nothing; empty for a valid run
	Interrupted    bool     // ended by a signal
	Err            error    // the failure that ended the run, nil if none; with the step's position
	Exit           ExitCode // by what is known here
}

// PhaseOutcome is how one phase ended.
type PhaseOutcome struct {
	Name           string
	Status         Status
	Started, Ended time.Time // zero if it never did
	Steps          []StepOutcome
}

// StepOutcome is how one step ended.
type StepOutcome struct {
	Name, Kind, Path string
	Pos              ir.Pos
	Background       bool
	Status           Status
	Started, Ended   time.Time
	Tries            int
	Err              error
	Arrivals         *Arrivals // for a rate step
}

// Arrivals accounts for the starts of a rate step: Planned = Started + Dropped, always, when the step ran to its end.
type Arrivals struct {
	Planned, Started, Dropped int64
	LatenessP50, LatenessP99  time.Duration
	LatenessMax               time.Duration
}

// ThresholdOutcome is the verdict of one threshold.
type ThresholdOutcome struct {
	Name, Expr string
	Pos        ir.Pos
	Passed     bool
	NoData     bool              // an input had no data, which is a breach
	Aborted    bool              // it was this one that stopped the run
	Values     map[string]string // the measures it read, with their last values
	Err        error             // the evaluation failed, which is a breach
}

// Observer is told what a run does, as it happens. Calls come from several goroutines, one at a time.
type Observer interface {
	Observe(Event)
}

// Event is one thing that happened in a run: the start (Ended zero) or the end of a phase or, if Step is set, of a step.
type Event struct {
	Time   time.Time
	Phase  string
	Step   string // "" for the phase itself
	Kind   string // the step's action
	Status Status
	Err    error
}
