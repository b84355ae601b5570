// Package pilotload translates the configuration of pilot-load's `cluster` command, YAML, into a scenario, CUE.
//
// What pilot-load would refuse is an error. What it ignores, or what a scenario cannot say, is a warning, and stays in
// the output as a comment, so that nothing is lost on the way. Go templates are run, with marks in place of what is only
// known later (names, the random number), and the marks in their output become CEL holes.
package pilotload

import (
	"errors"
	"fmt"

	"github.com/plscript/plscript/lang/ir"
)

// MaxBytes is the size above which a configuration is refused: a few lines describe the largest mesh.
const MaxBytes = 1 << 20

// Input is a configuration.
type Input struct {
	// Name is the file as the user typed it, for diagnostics and comments; "-" for the standard input.
	Name string
	// Source is the YAML. What is longer than [MaxBytes] may be cut after one byte more.
	Source []byte
}

// Result is a translated configuration.
type Result struct {
	// CUE is the scenario, formatted; nil if there are errors.
	CUE []byte
	// Errors are what keeps the configuration from being read.
	Errors ir.Diagnostics
	// Warnings are what pilot-load ignores and what a scenario does otherwise.
	Warnings ir.Diagnostics
}

// What package lang reads at most.
const (
	maxScenarioBytes  = 1 << 20
	maxScenarioTokens = 100_000
)

var errTooLong = errors.New("the scenario would be too long to be read: put what is alike into one entry, with replicas")

// Import translates a configuration.
func Import(in Input) Result {
	r := newReader(in)
	root, ok := r.document()
	if !ok {
		return r.result(nil)
	}
	c := r.config(root)
	r.usable(c)
	if len(r.errors) > 0 {
		return r.result(nil)
	}
	text, err := newWriter(r, c).file()
	if err == nil && (len(text) > maxScenarioBytes || tokens(text) > maxScenarioTokens) {
		err = errTooLong
	}
	switch {
	case len(r.errors) > 0:
	case errors.Is(err, errTooLong):
		r.errorf(nil, "", ir.CodeTooExpensive, "%v", err)
	case err != nil:
		r.errorf(nil, "", ir.CodeInternal, "the scenario cannot be formatted: %v", err)
	default:
		return r.result(text)
	}
	return r.result(nil)
}

// maxWarnings bounds a report: aliases can repeat one mistake thousands of times.
const maxWarnings = 100

func (r *reader) result(text []byte) Result {
	res := Result{CUE: text, Errors: r.errors.Sort(), Warnings: r.warnings.Sort()}
	if more := len(res.Warnings) - maxWarnings; more > 0 {
		last := res.Warnings[maxWarnings]
		last.Path, last.Message, last.Suggestion = "", fmt.Sprintf("and %d more from here on", more), ""
		res.Warnings = append(res.Warnings[:maxWarnings:maxWarnings], last)
	}
	return res
}
