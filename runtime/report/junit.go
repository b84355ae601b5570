package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The JUnit format as CI servers read it: suites of cases, with times in seconds. The root is one suite a phase, one for
// the thresholds and, where a run fails for a reason that is neither, one for that.

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string       `xml:"name,attr"`
	Classname string       `xml:"classname,attr"`
	File      string       `xml:"file,attr,omitempty"`
	Time      string       `xml:"time,attr"`
	Failure   *junitDetail `xml:"failure"`
	Error     *junitDetail `xml:"error"`
	Skipped   *junitDetail `xml:"skipped"`
}

type junitDetail struct {
	Message string `xml:"message,attr,omitempty"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report as JUnit XML: one test case for each step and each threshold. A run that fails though
// all of these passed has one more case, so that no CI shows it green.
func (r *Report) WriteJUnit(w io.Writer) error {
	root := junitSuites{Name: r.Run.Scenario, Time: seconds(r.Run.Duration)}
	for _, p := range r.Phases {
		s := junitSuite{Name: r.Run.Scenario + "." + p.Name, Time: seconds(p.Duration), Timestamp: timestamp(p.Started)}
		for _, st := range p.Steps {
			s.Cases = append(s.Cases, stepCase(s.Name, st))
		}
		root.add(s)
	}
	th := junitSuite{Name: r.Run.Scenario + ".thresholds", Time: seconds(0), Timestamp: timestamp(r.Run.Ended)}
	for _, t := range r.Thresholds {
		th.Cases = append(th.Cases, thresholdCase(th.Name, t))
	}
	root.add(th)
	if r.Verdict.Result != ResultPass && root.Failures+root.Errors == 0 {
		root.add(verdictSuite(r))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(root); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// add appends s with its counts, unless it is empty.
func (root *junitSuites) add(s junitSuite) {
	if len(s.Cases) == 0 {
		return
	}
	s.Tests = len(s.Cases)
	for _, c := range s.Cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	root.Tests += s.Tests
	root.Failures += s.Failures
	root.Errors += s.Errors
	root.Skipped += s.Skipped
	root.Suites = append(root.Suites, s)
}

func stepCase(class string, s Step) junitCase {
	c := junitCase{Name: s.Path + " " + stepName(s), Classname: class, File: file(s.Pos), Time: seconds(s.Duration)}
	switch s.Status {
	case "passed":
	case "failed":
		c.Failure = &junitDetail{Message: firstLine(s.Error), Type: "action", Text: clean(s.Error)}
	case "tolerated":
		c.Skipped = &junitDetail{Message: "failed and tolerated: " + firstLine(s.Error)}
	default:
		c.Skipped = &junitDetail{Message: s.Status}
	}
	return c
}

func thresholdCase(class string, t Threshold) junitCase {
	c := junitCase{Name: clean(t.Name), Classname: class, File: file(t.Pos), Time: seconds(0)}
	if t.Passed {
		return c
	}
	kind := "breached"
	switch {
	case t.Error != "":
		kind = "error"
	case t.NoData:
		kind = "no data"
	}
	text := []string{t.Pos + ": " + t.Expr}
	text = append(text, valueList(t.Values)...)
	if t.Error != "" {
		text = append(text, t.Error)
	}
	c.Failure = &junitDetail{Message: clean(kind + ": " + t.Expr), Type: "threshold", Text: clean(strings.Join(text, "\n"))}
	return c
}

// verdictSuite holds the failure of a run whose steps and thresholds all passed: an invalid or interrupted one, or one
// whose cleanup left something.
func verdictSuite(r *Report) junitSuite {
	why := clean(strings.Join(r.Verdict.Reasons, "\n"))
	name := r.Run.Scenario + ".run"
	return junitSuite{Name: name, Time: seconds(0), Timestamp: timestamp(r.Run.Ended), Cases: []junitCase{{
		Name: "verdict", Classname: name, Time: seconds(0),
		Error: &junitDetail{Message: fmt.Sprintf("%s (exit %d): %s", r.Verdict.Result, r.Verdict.Exit, firstLine(why)), Type: string(r.Verdict.Result), Text: why},
	}}}
}

func seconds(s Seconds) string { return fmt.Sprintf("%.3f", time.Duration(s).Seconds()) }

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}

// file is the file of a position, "" of none.
func file(pos string) string {
	name, _, _ := strings.Cut(pos, ":")
	return name
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return clean(line)
}
