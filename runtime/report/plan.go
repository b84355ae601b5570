package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

// PlanSchema names the format of a plan as JSON.
const PlanSchema = "plscript.dev/plan/v1"

// planJSON is a plan as JSON.
type planJSON struct {
	Schema     string             `json:"schema"`
	Scenario   string             `json:"scenario"`
	Seed       int64              `json:"seed"`
	Population runtime.Population `json:"population"`
	Proxies    map[string]int64   `json:"proxies"`
	AutoNodes  int64              `json:"autoNodes"`
	Expected   Seconds            `json:"expectedSeconds"`
	Phases     []planPhaseJSON    `json:"phases"`
	Memory     int64              `json:"memoryBytes"` // plscript's own, estimated
	Totals     []Planned          `json:"totals"`
}

type planPhaseJSON struct {
	Name     string         `json:"name"`
	After    []string       `json:"after"`
	Parallel bool           `json:"parallel,omitempty"`
	Steps    []planStepJSON `json:"steps"`
}

type planStepJSON struct {
	Name       string           `json:"name"`
	Action     string           `json:"action"`
	Pos        string           `json:"pos"`
	When       string           `json:"when,omitempty"`
	Background bool             `json:"background,omitempty"`
	Detail     string           `json:"detail,omitempty"`
	Writes     []Planned        `json:"writes"`
	Streams    map[string]int64 `json:"streams,omitempty"`
	Calls      map[string]int64 `json:"calls,omitempty"` // to istiod's webhook and certificate authority
	Rate       string           `json:"rate,omitempty"`
	Arrivals   int64            `json:"arrivals,omitempty"`
	Expected   Seconds          `json:"expectedSeconds,omitempty"`
	First      []string         `json:"first,omitempty"`
}

// PlannedWrites lists the plan's requests as a report holds them.
func PlannedWrites(p *runtime.Plan) []Planned {
	writes, derived := p.Totals()
	return planned(writes, derived)
}

func planned(writes, derived []runtime.WriteCount) []Planned {
	out := []Planned{}
	for i, list := range [][]runtime.WriteCount{writes, derived} {
		for _, w := range list {
			out = append(out, Planned{Group: w.Group, Kind: w.Kind, Verb: string(w.Verb), Count: w.Count, Derived: i == 1})
		}
	}
	return out
}

// WritePlanJSON writes the plan as one JSON object.
func WritePlanJSON(w io.Writer, p *runtime.Plan) error {
	out := planJSON{
		Schema: PlanSchema, Scenario: p.Scenario.Name, Seed: p.Scenario.Seed, Population: p.Population,
		Proxies: classes(p.Proxies), AutoNodes: p.AutoNodes, Expected: Seconds(p.Expected()), Memory: p.Memory(), Totals: PlannedWrites(p),
	}
	for _, ph := range p.Phases {
		pj := planPhaseJSON{Name: ph.Name, After: list(ph.After), Parallel: ph.Parallel}
		for _, s := range ph.Steps {
			sj := planStepJSON{
				Name: s.Name, Action: s.Kind, Pos: s.Pos.String(), When: s.When, Background: s.Background, Detail: s.Detail,
				Writes: planned(s.Writes(), s.Derived()), Streams: classes(s.Streams), Calls: calls(s.Calls), Arrivals: s.Arrivals,
				Expected: Seconds(s.Expected), First: s.First,
			}
			if s.Load != nil {
				sj.Rate = s.Load.Rate.String()
			}
			pj.Steps = append(pj.Steps, sj)
		}
		out.Phases = append(out.Phases, pj)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func classes(m map[runtime.ProxyClass]int64) map[string]int64 {
	out := map[string]int64{}
	for k, v := range m {
		if v != 0 {
			out[string(k)] = v
		}
	}
	return out
}

// WritePlanText prints the plan for people.
func WritePlanText(w io.Writer, p *runtime.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  seed %d", p.Scenario.Name, p.Scenario.Seed)
	if d := p.Expected(); d > 0 {
		fmt.Fprintf(&b, "  at least %v", d.Round(time.Millisecond))
	}
	b.WriteString("\n")
	for _, ph := range p.Phases {
		fmt.Fprintf(&b, "\nphase %s%s\n", ph.Name, phaseNotes(ph))
		for _, s := range ph.Steps {
			planStepText(&b, s)
		}
	}
	planTotalsText(&b, p)
	_, err := io.WriteString(w, b.String())
	return err
}

func phaseNotes(ph *runtime.PhasePlan) string {
	notes := ""
	if len(ph.After) > 0 {
		notes += "  after " + strings.Join(ph.After, ", ")
	}
	if ph.Parallel {
		notes += "  steps in parallel"
	}
	return notes
}

func planStepText(b *strings.Builder, s *runtime.StepPlan) {
	fmt.Fprintf(b, "  %s", s.Kind)
	if s.Name != s.Kind {
		fmt.Fprintf(b, " %q", s.Name)
	}
	if s.Load != nil {
		law := ""
		if s.Load.Law != "" && s.Load.Law != runtime.ArrivalsConstant {
			law = ", " + string(s.Load.Law)
		}
		fmt.Fprintf(b, "  at %s%s", s.Load.Rate, law)
		switch {
		case s.Load.Endless():
			b.WriteString(" until the run ends")
		case s.Load.Duration > 0:
			fmt.Fprintf(b, " for %s: %s arrivals", s.Load.Duration, count(s.Arrivals))
		default:
			fmt.Fprintf(b, ": %s arrivals", count(s.Arrivals))
		}
	} else if s.Expected > 0 {
		fmt.Fprintf(b, "  %v", s.Expected)
	}
	if s.Detail != "" {
		b.WriteString("  " + s.Detail)
	}
	if s.Background {
		b.WriteString("  in the background")
	}
	if s.When != "" {
		fmt.Fprintf(b, "  when %s", s.When)
	}
	b.WriteString("\n")
	countsText(b, "writes ", s.Writes())
	countsText(b, "follows", s.Derived())
	if len(s.Streams) > 0 {
		fmt.Fprintf(b, "    streams  %s\n", classText(s.Streams))
	}
	if len(s.Calls) > 0 {
		fmt.Fprintf(b, "    calls    %s\n", callText(s.Calls))
	}
	for i, op := range s.First {
		label := "first  "
		if i > 0 {
			label = "       "
		}
		fmt.Fprintf(b, "    %s  %s\n", label, op)
	}
}

func countsText(b *strings.Builder, label string, counts []runtime.WriteCount) {
	if len(counts) == 0 {
		return
	}
	parts := make([]string, len(counts))
	for i, c := range counts {
		parts[i] = fmt.Sprintf("%s %s %s", count(c.Count), c.Verb, c.Kind)
	}
	fmt.Fprintf(b, "    %s  %s\n", label, strings.Join(parts, ", "))
}

func calls(m map[runtime.Stage]int64) map[string]int64 {
	out := make(map[string]int64, len(m))
	for k, n := range m {
		out[string(k)] = n
	}
	return out
}

func callText(m map[runtime.Stage]int64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, count(m[k])+" "+string(k))
	}
	return strings.Join(parts, ", ")
}

func classText(m map[runtime.ProxyClass]int64) string {
	var parts []string
	for _, c := range runtime.ProxyClasses {
		if n := m[c]; n != 0 {
			parts = append(parts, count(n)+" "+string(c))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func planTotalsText(b *strings.Builder, p *runtime.Plan) {
	pop := p.Population
	fmt.Fprintf(b, "\nin the end   %s namespaces, %s services, %s pods, %s nodes",
		count(pop.Namespaces), count(pop.Services), count(pop.Pods), count(pop.Nodes))
	switch {
	case p.Phantoms():
		b.WriteString("\n             (pods and nodes are not made: as endpoints and proxies only)")
	case p.AutoNodes > 0:
		b.WriteString(" (added as needed: the scenario makes none)")
	}
	var proxies int64
	for _, n := range p.Proxies {
		proxies += n
	}
	fmt.Fprintf(b, "\nproxies      %s: %s\n", count(proxies), classText(p.Proxies))
	writes, derived := p.Totals()
	var w, d int64
	for _, c := range writes {
		w += c.Count
	}
	for _, c := range derived {
		d += c.Count
	}
	fmt.Fprintf(b, "API calls    %s by steps, about %s that follow in the cluster\n", count(w), count(d))
	if calls := p.Calls(); len(calls) > 0 {
		fmt.Fprintf(b, "istiod calls %s\n", callText(calls))
	}
	fmt.Fprintf(b, "memory       about %s for plscript\n", size(p.Memory()))
}

// WritePlanMermaid draws the phases and steps as a Mermaid flowchart.
func WritePlanMermaid(w io.Writer, p *runtime.Plan) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, ph := range p.Phases {
		fmt.Fprintf(&b, "  subgraph p%d[%q]\n", i, ph.Name)
		for j, s := range ph.Steps {
			fmt.Fprintf(&b, "    p%ds%d[%q]\n", i, j, s.Name)
			if j > 0 && !ph.Parallel && !ph.Steps[j-1].Background {
				fmt.Fprintf(&b, "    p%ds%d --> p%ds%d\n", i, j-1, i, j)
			}
		}
		b.WriteString("  end\n")
	}
	for i, ph := range p.Phases {
		for _, a := range ph.After {
			for k, other := range p.Phases {
				if other.Name == a {
					fmt.Fprintf(&b, "  p%d --> p%d\n", k, i)
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
