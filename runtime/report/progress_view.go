package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

// The escape sequences of the live view. Each redraw is one write between the marks of a synchronised update, with every
// line overwritten and then cleared to its end: terminals that know the marks show it at once, the others never show a
// blank line either.
const (
	beginUpdate = "\x1b[?2026h"
	endUpdate   = "\x1b[?2026l"
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// emit prints line, if there is one, and redraws the block below it.
func (p *Progress) emit(line string) {
	if !p.cfg.Live || (p.closed && p.drawn == 0) {
		if line != "" {
			_, _ = fmt.Fprintln(p.cfg.Out, line)
		}
		return
	}
	var b strings.Builder
	b.WriteString(beginUpdate)
	if p.drawn == 0 {
		b.WriteString(hideCursor)
	} else {
		b.WriteByte('\r')
		if p.drawn > 1 {
			fmt.Fprintf(&b, "\x1b[%dA", p.drawn-1)
		}
	}
	if line != "" {
		for l := range strings.SplitSeq(line, "\n") {
			b.WriteString(l + clearLine + "\n")
		}
	}
	var block []string
	if !p.closed {
		block = p.block()
	}
	b.WriteString(strings.Join(block, clearLine+"\n"))
	b.WriteString(clearLine + clearBelow)
	if p.drawn = len(block); p.closed {
		b.WriteString(showCursor)
	}
	b.WriteString(endUpdate)
	_, _ = fmt.Fprint(p.cfg.Out, b.String())
}

// block is the part of the screen that is redrawn: what runs, and how the mesh is doing.
func (p *Progress) block() []string {
	width := 0
	if p.cfg.Width != nil {
		width = p.cfg.Width()
	}
	if width < 20 {
		width = 80
	}
	width-- // a character in the last column makes some terminals wrap
	elapsed := clockTime(p.cfg.Clock.Now().Sub(p.started))
	doing := p.doing()
	room := width - cells(elapsed) - 3
	doing = clip(doing, room)
	gap := strings.Repeat(" ", room-cells(doing)+1)
	return []string{
		paint("▸ ", cyan, p.cfg.Color) + paint(doing, bold, p.cfg.Color) + gap + elapsed,
		paint("  "+clip(p.status(), width-2), dim, p.cfg.Color),
	}
}

// doing names the phases and steps under way: "churn (4 of 4) › churnPods 12.0s".
func (p *Progress) doing() string {
	now := p.cfg.Clock.Now()
	var parts []string
	for _, a := range p.running {
		if a.step != "" {
			continue
		}
		part := clean(a.phase) + p.place(a.phase)
		sep := " › "
		for _, s := range p.running {
			if s.phase == a.phase && s.step != "" {
				part += sep + clean(s.step) + " " + duration(now.Sub(s.since).Truncate(100*time.Millisecond))
				sep = ", "
			}
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "starting"
	}
	return strings.Join(parts, "  |  ")
}

// status sums up the last readings in one line; what is not measured yet is left out.
func (p *Progress) status() string {
	var parts []string
	of := func(what, have, want string) {
		h, okH := p.readings[have].(int64)
		w, okW := p.readings[want].(int64)
		if okH && okW && (h != 0 || w != 0) {
			parts = append(parts, fmt.Sprintf("%s %s/%s", what, count(h), count(w)))
		}
	}
	of("pods", "pods.ready", "pods.desired")
	of("xds", "xds.synced", "xds.desired")
	rated := func(what, path string, r rate) {
		if n, ok := p.readings[path].(int64); ok && n != 0 {
			parts = append(parts, fmt.Sprintf("%s %s (%s/s)", what, count(n), r))
		}
	}
	rated("pushes", "pushes.responses", p.rates.pushes)
	rated("writes", "writer.done", p.rates.writes)
	for _, c := range []struct{ what, path string }{
		{"pending", "changes.pending"}, {"dropped", "loadgen.dropped"}, {"errors", "writer.errors"}, {"disconnects", "xds.disconnects"},
	} {
		if n, ok := p.readings[c.path].(int64); ok && n != 0 {
			parts = append(parts, c.what+" "+count(n))
		}
	}
	if n, ok := p.readings["pushes.resources"].(int64); ok && n != 0 {
		parts = append(parts, "resources "+count(n))
	}
	if n, ok := p.readings["pushes.bytes"].(int64); ok && n != 0 {
		parts = append(parts, size(n))
	}
	if len(parts) == 0 {
		return "nothing measured yet"
	}
	return strings.Join(parts, " · ")
}

// rates are the speeds between the last two ticks.
type rates struct {
	at             time.Time
	pushes, writes rate
}

// rate is one counter's speed.
type rate struct {
	last      int64
	perSecond float64
}

func (r *rates) update(now time.Time, v runtime.Readings) {
	elapsed := now.Sub(r.at).Seconds()
	if r.at.IsZero() {
		elapsed = 0
	}
	pushes, _ := v["pushes.responses"].(int64)
	writes, _ := v["writer.done"].(int64)
	r.pushes.update(pushes, elapsed)
	r.writes.update(writes, elapsed)
	r.at = now
}

func (r *rate) update(n int64, elapsed float64) {
	if elapsed > 0 {
		r.perSecond = float64(n-r.last) / elapsed
	}
	r.last = n
}

func (r rate) String() string {
	if r.perSecond > 0 && r.perSecond < 10 {
		return strconv.FormatFloat(r.perSecond, 'f', 1, 64)
	}
	return count(int64(r.perSecond + 0.5))
}
