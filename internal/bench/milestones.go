package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

// milestones are tables of when runs of ambientWaypoint had got how far, and of what each process had used by then.
type milestones struct {
	until []milestone
	most  medians // the memory that each process held at most
}

type milestone struct {
	title string
	step  string // which waits for it
	medians
}

func newMilestones() *milestones {
	return &milestones{until: []milestone{
		{title: "All pods run, all slices are complete", step: "complete"},
		{title: "All streams are open", step: "open"},
		{title: "All proxies are synced", step: "synced"},
	}}
}

// add takes in a run. It is in the row of that title of each milestone that it has, with all runs of the title.
func (m *milestones) add(title string, rep *report.Report, seen *observer) {
	from := rep.Phases[0].Started
	for _, s := range rep.Phases[0].Steps {
		i := slices.IndexFunc(m.until, func(x milestone) bool { return x.step == s.Name })
		if i < 0 {
			continue
		}
		x, to := &m.until[i], s.Started.Add(time.Duration(s.Duration))
		x.add(title, "time", "**%.1f**", to.Sub(from).Seconds())
		for _, name := range servers {
			x.add(title, "CPU of "+name, "%.1f", seen.between(name, from, to).Seconds())
		}
	}
	for _, name := range servers {
		m.most.add(title, name, "%.0f", float64(seen.peak(name))/1e6)
	}
}

func (m *milestones) String() string {
	var out strings.Builder
	for _, x := range m.until {
		fmt.Fprintf(&out, "\n%s:\n\n%s", x.title, x.table.String())
	}
	fmt.Fprintf(&out, "\nMemory at most, MB:\n\n%s", m.most.String())
	return out.String()
}
