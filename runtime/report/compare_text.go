package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// WriteText prints the comparison for people. Measures that are as before are left out, but for the headline ones, unless
// all is set.
func (c *Comparison) WriteText(w io.Writer, opt TextOptions, all bool) error {
	if opt.Width <= 0 || opt.Width > maxTextWidth {
		opt.Width = maxTextWidth
	}
	var b strings.Builder
	head := &table{columns: []column{{}, {}, {}, {flex: true}}}
	for _, r := range []struct {
		which string
		*Report
	}{{"base", c.Base}, {"new", c.New}} {
		head.add(cell{r.which, dim}, cell{clean(r.Run.ID), bold}, resultCell(r.Verdict.Result),
			cell{clean(fmt.Sprintf("%s · seed %d · %s · %s", r.Run.Scenario, r.Run.Seed, r.Run.Target, duration(time.Duration(r.Run.Duration)))), dim})
	}
	head.render(&b, opt.Width, opt.Color)
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "%s %s\n", paint("!", yellow, opt.Color), clean(n))
	}
	c.textThresholds(&b, opt)
	c.textMeasures(&b, opt, all)
	b.WriteString("\n")
	for _, reason := range append(c.Unusable, c.Worse...) {
		for i, l := range wrap(clean(reason), opt.Width-2) {
			mark := "  "
			if i == 0 {
				mark = paint("✗", red, opt.Color) + " "
			}
			b.WriteString(mark + l + "\n")
		}
	}
	switch {
	case len(c.Unusable) > 0:
		b.WriteString(paint("INVALID", yellow, opt.Color) + "  nothing follows from these figures\n")
	case len(c.Worse) > 0:
		b.WriteString(paint("WORSE", red, opt.Color) + "\n")
	default:
		b.WriteString(paint("NO WORSE", green, opt.Color) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func resultCell(r Result) cell {
	switch r {
	case ResultPass:
		return cell{string(r), green}
	case ResultFail:
		return cell{string(r), red}
	}
	return cell{string(r), yellow}
}

func (c *Comparison) textThresholds(b *strings.Builder, opt TextOptions) {
	if len(c.Thresholds) == 0 {
		return
	}
	tb := &table{columns: []column{{flex: true}, {head: "base"}, {head: "new"}, {flex: true}}}
	for _, t := range c.Thresholds {
		values := ""
		if t.New != nil {
			values = strings.Join(valueList(t.New.Values), ", ")
		}
		tb.add(cell{clean(t.Name), plain}, passedCell(t.Base), passedCell(t.New), cell{clean(values), dim})
	}
	b.WriteString("\n" + paint("THRESHOLDS", bold, opt.Color) + "\n")
	tb.render(b, opt.Width, opt.Color)
}

func passedCell(t *Threshold) cell {
	switch {
	case t == nil:
		return cell{"-", dim}
	case t.Passed:
		return cell{"holds", green}
	case t.NoData:
		return cell{"no data", red}
	}
	return cell{"breached", red}
}

func (c *Comparison) textMeasures(b *strings.Builder, opt TextOptions, all bool) {
	tb := &table{columns: []column{{flex: true}, {head: "base", right: true}, {head: "new", right: true}, {head: "ratio", right: true}, {}}}
	for i := range c.Measures {
		m := &c.Measures[i]
		if !all && !m.Failed && (m.Change == ChangeSame && !headline(m.Path) || m.Base == 0 && m.New == 0) {
			continue
		}
		base, next := m.values()
		st := plain
		switch {
		case m.Failed:
			st = red
		case m.Change == ChangeWorse:
			st = yellow
		case m.Change == ChangeBetter:
			st = green
		case m.Change == ChangeSame:
			st = dim
		}
		tb.add(cell{m.Path, plain}, cell{base, plain}, cell{next, plain}, cell{m.ratio(), st}, cell{string(m.Change), st})
	}
	if len(tb.rows) == 0 {
		return
	}
	b.WriteString("\n" + paint("MEASURES", bold, opt.Color) + "\n")
	tb.render(b, opt.Width, opt.Color)
}

// comparisonJSON is a comparison as JSON holds it.
type comparisonJSON struct {
	Base       string          `json:"base"` // the run's id
	New        string          `json:"new"`
	Exit       int             `json:"exit"`
	Notes      []string        `json:"notes"`
	Unusable   []string        `json:"unusable"`
	Worse      []string        `json:"worse"`
	Thresholds []thresholdJSON `json:"thresholds"`
	Measures   []measureJSON   `json:"measures"`
}

type thresholdJSON struct {
	Name string `json:"name"`
	Base *bool  `json:"base"` // whether it holds; null where the run has none of the name
	New  *bool  `json:"new"`
}

type measureJSON struct {
	Path   string   `json:"path"`
	Base   *float64 `json:"base"` // in seconds for a duration; null is no data
	New    *float64 `json:"new"`
	Ratio  *float64 `json:"ratio"` // null where one is missing, or base is 0
	Change Change   `json:"change"`
	Failed bool     `json:"failed"`
}

// WriteJSON prints all of the comparison.
func (c *Comparison) WriteJSON(w io.Writer) error {
	out := comparisonJSON{
		Base: c.Base.Run.ID, New: c.New.Run.ID, Exit: int(c.Exit()), Notes: list(c.Notes), Unusable: list(c.Unusable), Worse: list(c.Worse),
		Thresholds: []thresholdJSON{}, Measures: []measureJSON{},
	}
	for _, t := range c.Thresholds {
		row := thresholdJSON{Name: t.Name}
		if t.Base != nil {
			row.Base = &t.Base.Passed
		}
		if t.New != nil {
			row.New = &t.New.Passed
		}
		out.Thresholds = append(out.Thresholds, row)
	}
	for i := range c.Measures {
		m := c.Measures[i]
		row := measureJSON{Path: m.Path, Change: m.Change, Failed: m.Failed}
		if m.Change != ChangeNew {
			row.Base = &m.Base
		}
		if m.Change != ChangeGone {
			row.New = &m.New
		}
		if !math.IsNaN(m.Ratio) && !math.IsInf(m.Ratio, 0) {
			row.Ratio = &m.Ratio
		}
		out.Measures = append(out.Measures, row)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
