package ir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Merge adds the diagnostics that a later pass found, leaving out those that an earlier one has already explained: at
// the same path, at a path that holds one of the earlier ones, or inside a value that could not be computed. What an
// action refuses is left out if anything in its step is wrong already. So a step whose rate is misspelled is not also
// reported as a step without arrivals. The result is sorted.
func (ds Diagnostics) Merge(later Diagnostics) Diagnostics {
	merged := append(Diagnostics(nil), ds...)
	for _, d := range later {
		if !ds.explain(d.Path) && !(d.Code == CodePlan && ds.explain(stepPath(d.Path))) {
			merged = append(merged, d)
		}
	}
	return merged.Sort()
}

func (ds Diagnostics) explain(path string) bool {
	if path == "" {
		return false
	}
	for _, d := range ds {
		switch {
		case within(d.Path, path):
			return true
		case d.broken() && d.Path != "" && within(path, d.Path):
			return true
		case d.Code == CodeUnknownField && d.Suggestion != "" && within(path, strings.TrimPrefix(parentPath(d.Path)+"."+d.Suggestion, ".")):
			return true // the field is there, under a wrong name
		}
	}
	return false
}

// stepPath is the path of the step that a field is in, phases[1].steps[0], or "".
func stepPath(path string) string {
	_, rest, ok := strings.Cut(path, ".steps[")
	i := strings.IndexByte(rest, ']')
	if !ok || i < 0 {
		return ""
	}
	return path[:len(path)-len(rest)+i+1]
}

// broken reports whether nothing can be said of what is inside the value that d is about.
func (d Diagnostic) broken() bool {
	switch d.Code {
	case CodeUnknownName, CodeContradiction, CodeEvaluation, CodeNoValue, CodeType:
		return true
	}
	return false
}

// within reports whether path is outer or a field inside it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// WriteText writes one diagnostic a line.
func (ds Diagnostics) WriteText(w io.Writer) error {
	for _, d := range ds {
		if _, err := fmt.Fprintln(w, d.Error()); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}

// WriteJSON writes an indented JSON array, [] when there are none.
func (ds Diagnostics) WriteJSON(w io.Writer) error {
	if ds == nil {
		ds = Diagnostics{}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(ds); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

// WriteSource writes each diagnostic followed by its line of the file with a caret below the place, for people at a
// terminal. read returns a file's content by its name in [Pos]; where it fails, the line is left out.
func (ds Diagnostics) WriteSource(w io.Writer, read func(file string) ([]byte, error)) error {
	files := map[string][]byte{}
	for _, d := range ds {
		content, seen := files[d.Pos.File]
		if !seen {
			if b, err := read(d.Pos.File); err == nil {
				content = bytes.TrimPrefix(b, []byte("\ufeff"))
			}
			files[d.Pos.File] = content
		}
		if _, err := fmt.Fprintf(w, "%s\n%s", d.Error(), excerpt(content, d.Pos)); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}

// excerpt is pos's line and a caret under its column, or "" if there is no such place.
func excerpt(content []byte, pos Pos) string {
	if !pos.IsValid() || content == nil {
		return ""
	}
	lines := bytes.Split(content, []byte("\n"))
	if pos.Line > len(lines) {
		return ""
	}
	line := strings.TrimSuffix(string(lines[pos.Line-1]), "\r")
	if strings.TrimSpace(line) == "" || pos.Col < 1 || pos.Col > len(line)+1 {
		return ""
	}
	// Tabs stay tabs below the line, so that the caret stands right whatever their width.
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, line[:pos.Col-1])
	return fmt.Sprintf("  %s\n  %s^\n", line, pad)
}
