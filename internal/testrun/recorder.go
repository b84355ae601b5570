package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// recorder prints what a reader of `go test` wants to see, and remembers which tests were made and which skipped.
type recorder struct {
	out     io.Writer
	output  map[string][]string // of tests and packages under way
	made    map[string]bool     // tests that passed or failed in some run
	skipped map[string]string   // tests that were skipped in some run, with the reason
}

func newRecorder(out io.Writer) *recorder {
	return &recorder{out: out, output: map[string][]string{}, made: map[string]bool{}, skipped: map[string]string{}}
}

// follow reads the events of one run to their end.
func (r *recorder) follow(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			_, _ = fmt.Fprintln(r.out, lines.Text()) // go test itself complains in plain text
			continue
		}
		r.see(e)
	}
	return lines.Err()
}

func (r *recorder) see(e event) {
	key := e.Package
	if e.Test != "" {
		key += "." + e.Test
	}
	switch e.Action {
	case "build-output":
		_, _ = io.WriteString(r.out, e.Output)
	case "output":
		if e.Test == "" && isSummary(e.Output) {
			_, _ = io.WriteString(r.out, e.Output)
			return
		}
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Action == "fail" {
			_, _ = io.WriteString(r.out, strings.Join(slices.DeleteFunc(r.output[key], isProgress), ""))
		}
		if e.Test != "" && e.Action == "skip" {
			r.skipped[key] = reason(r.output[key])
		} else if e.Test != "" {
			r.made[key] = true
		}
		delete(r.output, key)
	}
}

// isSummary reports whether a line is the closing one of a package that has tests.
func isSummary(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t")
}

// isProgress reports whether a line tells only that a test starts, waits or goes on.
func isProgress(line string) bool { return strings.HasPrefix(line, "=== ") }

// reason is what a skipped test printed last before its result: "file.go:12: why".
func reason(output []string) string {
	why := ""
	for _, line := range output {
		if line = strings.TrimSpace(line); line != "" && !isProgress(line) && !strings.HasPrefix(line, "--- ") {
			why = line
		}
	}
	return why
}

// neverMade lists the tests that no run made, sorted, each with its reason.
func (r *recorder) neverMade() []string {
	var out []string
	for _, test := range slices.Sorted(maps.Keys(r.skipped)) {
		if !r.made[test] {
			out = append(out, test+": "+r.skipped[test])
		}
	}
	return out
}
