package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// maxTextWidth keeps lines readable on a wide screen.
const maxTextWidth = 100

// TextOptions says how the verdict is printed.
type TextOptions struct {
	Width int    // columns of the terminal; above 100 and 0 mean 100
	Color bool   // ANSI colours
	Where string // where the report files are, printed last; "" if there are none
}

// text is the verdict being printed.
type text struct {
	strings.Builder
	*Report
	width int
	color bool
}

// WriteText prints the verdict for people: what ran, the thresholds, the key figures and, last, the result.
func (r *Report) WriteText(w io.Writer, opt TextOptions) error {
	if opt.Width <= 0 || opt.Width > maxTextWidth {
		opt.Width = maxTextWidth
	}
	t := &text{Report: r, width: opt.Width, color: opt.Color}
	t.header()
	t.phases()
	t.thresholds()
	t.figures()
	t.result(opt.Where)
	_, err := io.WriteString(w, t.String())
	return err
}

func (t *text) header() {
	istiod := ""
	if t.Run.IstiodVersion != "" {
		istiod = " (istiod " + t.Run.IstiodVersion + ")"
	}
	title := clean(t.Run.Scenario)
	rest := fmt.Sprintf("  run %s · seed %d · %s%s · %s", t.Run.ID, t.Run.Seed, t.Run.Target, istiod, duration(time.Duration(t.Run.Duration)))
	t.line(paint(title, bold, t.color) + paint(clip(clean(rest), t.width-cells(title)), dim, t.color))
	file := t.Run.File
	for _, p := range t.Run.Params {
		file += "  " + p.Name + "=" + p.Value
	}
	for _, l := range wrap(clean(file), t.width) {
		t.line(paint(l, dim, t.color))
	}
}

// section starts a block of the page.
func (t *text) section(title string) {
	t.line("")
	t.line(paint(title, bold, t.color))
}

func (t *text) line(s string) { t.WriteString(s + "\n") }

func (t *text) table(tb *table) { tb.render(&t.Builder, t.width, t.color) }

func (t *text) phases() {
	tb := &table{columns: []column{{}, {}, {right: true}, {flex: true}}}
	for _, p := range t.Phases {
		tb.add(cell{clip(clean(p.Name), 32), bold}, statusCell(p.Status), elapsedCell(p.Started, p.Duration), cell{})
		for _, s := range p.Steps {
			tb.add(cell{"  " + clip(stepName(s), 30), plain}, statusCell(s.Status), elapsedCell(s.Started, s.Duration), cell{t.stepDetail(s), dim})
		}
	}
	t.section("PHASES")
	t.table(tb)
}

func stepName(s Step) string {
	if s.Name == s.Kind || s.Name == "" {
		return clean(s.Kind)
	}
	return clean(s.Name + " (" + s.Kind + ")")
}

func (t *text) stepDetail(s Step) string {
	var parts []string
	if s.Background {
		parts = append(parts, "background")
	}
	if s.Tries > 1 {
		parts = append(parts, fmt.Sprintf("%d tries", s.Tries))
	}
	if a := s.Arrivals; a != nil {
		parts = append(parts, arrivalsLine(a))
	}
	if s.Error != "" && !t.isReason(s.Error) {
		parts = append(parts, clean(s.Error))
	}
	return strings.Join(parts, "\n")
}

// isReason reports whether the end of the page says msg anyway.
func (t *text) isReason(msg string) bool {
	return slices.ContainsFunc(t.Verdict.Reasons, func(r string) bool { return strings.Contains(r, msg) })
}

func arrivalsLine(a *Arrivals) string {
	return fmt.Sprintf("%s of %s arrivals started, %s dropped; late p99 %s",
		count(a.Started), count(a.Planned), count(a.Dropped), duration(time.Duration(a.Lateness.P99)))
}

func statusCell(status string) cell {
	switch status {
	case "passed":
		return cell{"passed", green}
	case "failed":
		return cell{"FAILED", red}
	case "tolerated", "cancelled":
		return cell{status, yellow}
	}
	return cell{status, dim}
}

func elapsedCell(started time.Time, d Seconds) cell {
	if started.IsZero() {
		return cell{"-", dim}
	}
	return cell{duration(time.Duration(d)), plain}
}

func (t *text) thresholds() {
	if len(t.Thresholds) == 0 {
		return
	}
	tb := &table{columns: []column{{flex: true}, {flex: true}, {flex: true}, {}}}
	for _, th := range t.Thresholds {
		values := strings.Join(valueList(th.Values), "\n")
		if th.Error != "" {
			values = strings.TrimPrefix(values+"\n"+th.Error, "\n")
		}
		tb.add(cell{clean(th.Name), plain}, cell{clean(th.Expr), plain}, cell{clean(values), cyan}, thresholdCell(th))
	}
	t.section("THRESHOLDS")
	t.table(tb)
}

func thresholdCell(th Threshold) cell {
	switch {
	case th.Passed:
		return cell{"✓ pass", green}
	case th.Error != "":
		return cell{"✗ ERROR", red}
	case th.NoData:
		return cell{"✗ NO DATA", red}
	case th.Aborted:
		return cell{"✗ STOPPED", red}
	}
	return cell{"✗ BREACHED", red}
}

// result is the end of the page: one word, why, and where to read more.
func (t *text) result(where string) {
	t.line("")
	t.sync()
	t.oracle()
	t.istiods()
	for _, reason := range t.Verdict.Reasons {
		t.paragraph("✗ ", clean(reason), red)
	}
	if where != "" {
		t.line(paint("report: "+clean(where), dim, t.color))
	}
	word, st := string(t.Verdict.Result), style("1;31")
	switch t.Verdict.Result {
	case ResultPass:
		st = "1;32"
	case ResultInvalid, ResultInterrupted:
		st = "1;33"
	}
	t.line(paint(word, st, t.color) + paint(resultMeaning(t.Verdict), dim, t.color))
}

// sync says whether istiod agreed, and where it did not.
func (t *text) sync() {
	agreed := 0
	for _, s := range t.Report.Sync {
		if s.OK {
			agreed++
			continue
		}
		t.paragraph("! ", syncLine(s), yellow)
	}
	if agreed > 0 && agreed == len(t.Report.Sync) {
		t.paragraph("✓ ", "istiod's syncz agreed after every phase: the same proxies, each push acknowledged", green)
	}
}

// paragraph prints msg wrapped, with mark before its first line.
func (t *text) paragraph(mark, msg string, st style) {
	indent := strings.Repeat(" ", cells(mark))
	for i, l := range wrap(msg, t.width-cells(mark)) {
		if i == 0 {
			t.line(paint(mark, st, t.color) + l)
			continue
		}
		t.line(indent + l)
	}
}

func resultMeaning(v Verdict) string {
	switch v.Result {
	case ResultPass:
		return ""
	case ResultInvalid:
		return fmt.Sprintf("  plscript could not keep up, so the figures mean nothing (exit %d)", v.Exit)
	}
	return fmt.Sprintf("  exit %d", v.Exit)
}

func syncLine(s SyncCheck) string {
	if s.Error != "" {
		return fmt.Sprintf("after %s: istiod's syncz could not be read: %s", clean(s.Phase), clean(s.Error))
	}
	msg := fmt.Sprintf("after %s: istiod lists %s proxies and %s streams are open; %s differences",
		clean(s.Phase), count(int64(s.ProxiesListed)), count(int64(s.XDSOpen)), count(int64(s.MismatchesTotal)))
	if len(s.Mismatches) > 0 {
		msg += ", the first: " + clean(s.Mismatches[0])
	}
	return msg
}
