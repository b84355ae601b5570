package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

//go:embed report.html.tmpl
var htmlSource string

var htmlTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"duration": func(s Seconds) string { return duration(time.Duration(s)) },
	"count":    count,
	"values":   valueList,
	"join":     strings.Join,
	"clean":    clean,
	"when":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).Parse(htmlSource))

// page is what the template sees: the report and what has to be computed from it.
type page struct {
	*Report
	Timeline    timeline
	Convergence []bars
	Curves      curves
	Measures    []measureRow
}

// measureRow is one line of the table of measures.
type measureRow struct{ Path, Value, Doc string }

// WriteHTML writes the report as one HTML page that loads nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	p := page{Report: r, Timeline: newTimeline(r), Curves: newCurves(r.Stages), Measures: r.measureRows()}
	for _, kind := range runtime.ChangeKinds {
		if b, ok := r.convergenceBars(string(kind)); ok {
			p.Convergence = append(p.Convergence, b)
		}
	}
	if err := htmlTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("rendering the page: %w", err)
	}
	return nil
}

// measureRows lists the readings that are there, in the order in which measures are declared.
func (r *Report) measureRows() []measureRow {
	var out []measureRow
	for _, m := range runtime.Measures() {
		if _, ok := r.Readings[m.Path]; ok {
			out = append(out, measureRow{m.Path, r.show(m.Path, m.Type), m.Doc})
		}
	}
	return out
}

// The geometry of the charts, in SVG user units; the page scales them to its width.
const (
	chartWidth = 900.0
	labelWidth = 220.0
	rowHeight  = 24.0
	barHeight  = 14.0
)

// bar is one row of a chart.
type bar struct {
	Label, Value, Class  string
	X, Y, Width, Base    float64 // Base is the text's base line
	ValueX               float64
	ValueEnds, LabelBold bool // the value stands before ValueX instead of after it
}

// rounded keeps the page short, and equal on machines that round the last bit of a float in different ways.
func (b bar) rounded() bar {
	b.X, b.Y, b.Width, b.Base, b.ValueX = tenth(b.X), tenth(b.Y), tenth(b.Width), tenth(b.Base), tenth(b.ValueX)
	return b
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }

// timeline shows when phases and steps ran.
type timeline struct {
	Width, Height float64
	Rows          []bar
	Ticks         []tick
}

// tick is one mark of the time axis.
type tick struct {
	X     float64
	Label string
}

func newTimeline(r *Report) timeline {
	tl := timeline{Width: chartWidth}
	total := time.Duration(r.Run.Duration).Seconds()
	if total <= 0 {
		return tl
	}
	scale := (chartWidth - labelWidth) / total
	row := func(label, status string, started time.Time, d Seconds, isPhase bool) {
		if started.IsZero() {
			return
		}
		from, took := started.Sub(r.Run.Started).Seconds(), time.Duration(d).Seconds()
		y := float64(len(tl.Rows)) * rowHeight
		b := bar{
			Label: clip(clean(label), 30), Value: duration(time.Duration(d)), Class: status, LabelBold: isPhase,
			X: labelWidth + from*scale, Y: y + (rowHeight-barHeight)/2, Width: math.Max(2, took*scale), Base: y + rowHeight*0.7,
		}
		b.ValueX = b.X + b.Width + 6
		if b.ValueX > chartWidth-60 { // no room after the bar
			b.ValueX, b.ValueEnds = b.X-6, true
		}
		tl.Rows = append(tl.Rows, b.rounded())
	}
	for _, p := range r.Phases {
		row(p.Name, p.Status, p.Started, p.Duration, true)
		for _, s := range p.Steps {
			row(stepName(s), s.Status, s.Started, s.Duration, false)
		}
	}
	every := niceStep(total / 8)
	for t := 0.0; t <= total*0.95; t += every { // a label at the very end would be cut off
		tl.Ticks = append(tl.Ticks, tick{tenth(labelWidth + t*scale), duration(time.Duration(t * float64(time.Second)))})
	}
	tl.Height = float64(len(tl.Rows))*rowHeight + rowHeight
	return tl
}

// niceStep is the least of 1, 2 and 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v {
			return m * p
		}
	}
	return 10 * p
}

// bars is a chart of percentiles.
type bars struct {
	Title         string
	Width, Height float64
	Rows          []bar
}

func (r *Report) convergenceBars(kind string) (bars, bool) {
	path := "changes." + kind
	longest, ok := r.number(path + ".max")
	if !ok || longest <= 0 {
		return bars{}, false
	}
	b := bars{Title: fmt.Sprintf("%s: %s changes", kind, r.show(path+".count", runtime.Int)), Width: chartWidth}
	for _, q := range []string{"p50", "p90", "p99", "max"} {
		v, ok := r.number(path + "." + q)
		if !ok {
			continue
		}
		y := float64(len(b.Rows)) * rowHeight
		row := bar{
			Label: q, Value: r.show(path+"."+q, runtime.Duration), Class: "figure", X: 60, Y: y + (rowHeight-barHeight)/2,
			Width: math.Max(1, v/longest*(chartWidth-160)), Base: y + rowHeight*0.7,
		}
		row.ValueX = row.X + row.Width + 6
		b.Rows = append(b.Rows, row.rounded())
	}
	b.Height = float64(len(b.Rows)) * rowHeight
	return b, true
}
