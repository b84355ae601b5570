package ir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a user's file. Line and Col count from 1; Col counts bytes, as CUE and most compilers do. The zero
// Pos is no place at all.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

// IsValid reports whether p is a place in a file.
func (p Pos) IsValid() bool { return p.Line > 0 }

func (p Pos) String() string {
	if !p.IsValid() {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Source is where a value stands in the user's file. For a string written as a literal it can also place a byte inside
// the string, so that an error in an expression is shown where it was typed.
type Source struct {
	Pos    Pos
	locate func(offset int) Pos
}

// NewSource returns a Source at pos. locate maps a byte offset of the decoded string to its place in the file; it is nil
// where the string is not a literal (an interpolation, a reference).
func NewSource(pos Pos, locate func(offset int) Pos) Source { return Source{Pos: pos, locate: locate} }

// At returns the place of the byte at offset in the decoded string.
func (s Source) At(offset int) Pos {
	if s.locate == nil {
		return s.Pos
	}
	return s.locate(offset)
}

// Diagnostic is one mistake in a scenario file.
type Diagnostic struct {
	Pos        Pos    `json:"pos"`
	Code       Code   `json:"code"`                 // what kind of mistake it is
	Path       string `json:"path,omitempty"`       // phases[1].steps[0].rate
	Message    string `json:"message"`              // in the user's words
	Suggestion string `json:"suggestion,omitempty"` // a near name, shown as: did you mean "rate"?
}

func (d Diagnostic) Error() string {
	var b strings.Builder
	b.WriteString(d.Pos.String())
	b.WriteString(": ")
	if d.Path != "" {
		b.WriteString(d.Path)
		b.WriteString(": ")
	}
	b.WriteString(d.Message)
	if d.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", d.Suggestion)
	}
	return b.String()
}

// Diagnostics are all the mistakes of a load; nil is a valid scenario.
type Diagnostics []Diagnostic

// Sort orders by position, then path, then message, and drops repeats. An expression that stands in one place but is used
// in several fields, such as a parameter of a template, is wrong once.
func (ds Diagnostics) Sort() Diagnostics {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(ds, func(a, b Diagnostic) bool {
		if a.Code == CodeExpression && b.Code == CodeExpression {
			a.Path = b.Path
		}
		return a == b
	})
}

func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}
