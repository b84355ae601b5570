package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

// number returns a reading as a float, whether it was set by this run or decoded from JSON.
func (r *Report) number(path string) (float64, bool) {
	switch v := r.Readings[path].(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case Seconds:
		return time.Duration(v).Seconds(), true
	}
	return 0, false
}

// show prints a reading by its declared type; "-" is no data.
func (r *Report) show(path string, typ runtime.MeasureType) string {
	v, ok := r.number(path)
	if !ok {
		return "-"
	}
	return showValue(path, typ, v)
}

// showValue prints a value of a measure by its declared type.
func showValue(path string, typ runtime.MeasureType, v float64) string {
	switch {
	case typ == runtime.Duration:
		return duration(time.Duration(v * float64(time.Second)))
	case typ == runtime.Double:
		return fmt.Sprintf("%.2f", v)
	case strings.HasSuffix(path, ".rss") || strings.HasSuffix(path, ".bytes"):
		return size(int64(v))
	}
	return count(int64(v))
}

func (r *Report) showInt(path string) cell { return cell{r.show(path, runtime.Int), plain} }

// some reports whether one of the readings is there and not zero.
func (r *Report) some(paths ...string) bool {
	for _, p := range paths {
		if v, ok := r.number(p); ok && v != 0 {
			return true
		}
	}
	return false
}

func (t *text) figures() {
	t.mesh()
	t.proxies()
	t.pushes()
	t.convergence()
	t.stages()
	t.writes()
	t.arrivals()
	t.cost()
}

func (t *text) mesh() {
	var parts []string
	of := func(what, path string) {
		if t.some(path+".desired", path+".ready") {
			parts = append(parts, fmt.Sprintf("%s %s of %s", what, t.showInt(path+".ready").text, t.showInt(path+".desired").text))
		}
	}
	of("pods ready", "pods")
	of("endpoints", "endpoints")
	for _, what := range []string{"namespaces", "services", "nodes"} {
		if t.some(what + ".created") {
			parts = append(parts, what+" "+t.showInt(what+".created").text)
		}
	}
	if len(parts) > 0 {
		t.section("MESH")
		t.facts(parts)
	}
}

// facts prints short facts after one another, as many on a line as fit.
func (t *text) facts(parts []string) {
	line := ""
	for _, p := range parts {
		if line != "" && cells(tableInset+line+" · "+p) > t.width {
			t.line(tableInset + line)
			line = ""
		}
		if line != "" {
			line += " · "
		}
		line += p
	}
	t.line(tableInset + line)
}

func (t *text) proxies() {
	tb := &table{columns: []column{
		{}, {head: "desired", right: true}, {head: "open", right: true}, {head: "synced", right: true}, {head: "refused", right: true},
		{head: "NACKs", right: true}, {head: "disconnects", right: true}, {head: "unanswered", right: true},
	}}
	row := func(name, path string) {
		tb.add(cell{name, plain}, t.showInt(path+".desired"), t.showInt(path+".open"), t.showInt(path+".synced"), t.showInt(path+".rejected"),
			alarm(t.showInt(path+".nacks")), alarm(t.showInt(path+".disconnects")), alarm(t.showInt(path+".unanswered")))
	}
	for _, c := range runtime.ProxyClasses {
		if path := "xds." + string(c); t.some(path+".desired", path+".open", path+".disconnects") {
			row(string(c), path)
		}
	}
	if len(tb.rows) != 1 {
		row("all", "xds")
	}
	if t.some("xds.desired", "xds.open", "xds.disconnects") {
		t.section("PROXIES")
		t.table(tb)
	}
}

// alarm colours a figure that should be zero.
func alarm(c cell) cell {
	if c.text != "0" && c.text != "-" {
		c.style = yellow
	}
	return c
}

func (t *text) pushes() {
	tb := &table{columns: []column{
		{}, {head: "responses", right: true}, {head: "resources", right: true}, {head: "removed", right: true},
		{head: "bytes", right: true}, {head: "NACKs", right: true}, {head: "wasted", right: true},
	}}
	for _, x := range runtime.XDSTypes {
		if path := "xds." + x.Short; t.some(path + ".responses") {
			tb.add(cell{x.Name, plain}, t.showInt(path+".responses"), t.showInt(path+".resources"), t.showInt(path+".removed"),
				t.showInt(path+".bytes"), alarm(t.showInt(path+".nacks")), cell{})
		}
	}
	if !t.some("pushes.responses") {
		return
	}
	tb.add(cell{"all", plain}, t.showInt("pushes.responses"), t.showInt("pushes.resources"), cell{},
		t.showInt("pushes.bytes"), cell{}, t.showInt("pushes.wasted"))
	t.section("PUSHES RECEIVED")
	t.table(tb)
}

func (t *text) convergence() {
	tb := &table{columns: []column{
		{}, {head: "changes", right: true}, {head: "pending", right: true}, {head: "p50", right: true}, {head: "p90", right: true},
		{head: "p99", right: true}, {head: "max", right: true}, {head: "unobserved", right: true},
	}}
	for _, kind := range runtime.ChangeKinds {
		path := "changes." + string(kind)
		if !t.some(path + ".count") {
			continue
		}
		row := []cell{{string(kind), plain}, t.showInt(path + ".count"), alarm(t.showInt(path + ".pending"))}
		for _, q := range []string{".p50", ".p90", ".p99", ".max"} {
			row = append(row, cell{t.show(path+q, runtime.Duration), plain})
		}
		tb.add(append(row, alarm(t.showInt(path+".unobserved")))...)
	}
	if len(tb.rows) > 0 {
		t.section("CONVERGENCE  scheduled write to a proxy's ACK")
		t.table(tb)
	}
}

func (t *text) stages() {
	if len(t.Stages) == 0 {
		return
	}
	tb := &table{columns: []column{
		{flex: true}, {head: "done", right: true}, {head: "failed", right: true}, {head: "mean", right: true}, {head: "p50", right: true},
		{head: "p90", right: true}, {head: "p99", right: true}, {head: "max", right: true},
	}}
	for _, s := range t.Stages {
		row := []cell{{s.Stage, plain}, {count(s.Done), plain}, alarm(cell{count(s.Errors), plain})}
		for _, d := range []Seconds{s.Mean, s.Time.P50, s.Time.P90, s.Time.P99, s.Time.Max} {
			row = append(row, cell{duration(time.Duration(d)), plain})
		}
		tb.add(row...)
	}
	t.section("STAGES")
	t.table(tb)
}

func (t *text) writes() {
	if len(t.Report.Writes) == 0 {
		return
	}
	tb := &table{columns: []column{
		{flex: true}, {}, {head: "done", right: true}, {head: "merged", right: true}, {head: "failed", right: true}, {head: "dropped", right: true},
		{head: "retries", right: true}, {head: "p50", right: true}, {head: "p99", right: true}, {head: "max", right: true},
	}}
	for _, w := range t.Report.Writes {
		fig := func(n int64) cell { return cell{count(n), plain} }
		tb.add(cell{clean(w.Kind), plain}, cell{w.Verb, dim}, fig(w.Done), fig(w.Superseded), alarm(fig(w.Failed)), alarm(fig(w.Dropped)),
			fig(w.Retries), cell{duration(time.Duration(w.Latency.P50)), plain}, cell{duration(time.Duration(w.Latency.P99)), plain},
			cell{duration(time.Duration(w.Latency.Max)), plain})
	}
	t.section("WRITES")
	t.table(tb)
}

func (t *text) arrivals() {
	a := t.Report.Arrivals
	if a == nil {
		return
	}
	t.section("ARRIVALS")
	t.facts([]string{
		count(a.Planned) + " planned", count(a.Started) + " started", count(a.Dropped) + " dropped",
		fmt.Sprintf("late p50 %s, p99 %s, max %s", duration(time.Duration(a.Lateness.P50)),
			duration(time.Duration(a.Lateness.P99)), duration(time.Duration(a.Lateness.Max))),
	})
}

func (t *text) cost() {
	tb := &table{columns: []column{{}, {head: "CPU seconds", right: true}, {head: "memory", right: true}}}
	for _, p := range []struct{ name, path string }{{"istiod", "istiod"}, {"plscript", "loadgen"}} {
		if t.some(p.path+".cpu", p.path+".rss") {
			tb.add(cell{p.name, plain}, cell{t.show(p.path+".cpu", runtime.Double), plain}, t.showInt(p.path+".rss"))
		}
	}
	if len(tb.rows) > 0 {
		t.section("COST")
		t.table(tb)
	}
}
