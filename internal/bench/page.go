package main

import (
	"slices"
	"strings"
)

// head is how the page begins.
const head = `# Performance

Measured, not estimated: each section is written by ` + "`make bench`" + `, or a part of it: ` + "`make bench-xds`, `make bench-huge`, `make soak`" + `, and
says of which commit it is. A machine shared with others is noisy: read the ratios, and run it yourself. Each section also says
how long a loop of fixed work (on every core, memory touched for the first time and then sorted) took before and after it: a slower
loop is a slower machine.
`

// page is a document of sections, each under a title of the second level.
type page struct {
	head     string
	sections []section
}

type section struct{ title, text string } // text begins with the title's line

// parse cuts a document at its titles.
func parse(text string) page {
	var p page
	for i, piece := range strings.Split("\n"+text, "\n## ") {
		if i == 0 {
			p.head = strings.TrimPrefix(piece, "\n")
			continue
		}
		title, _, _ := strings.Cut(piece, "\n")
		p.sections = append(p.sections, section{title, "## " + strings.TrimRight(piece, "\n") + "\n"})
	}
	return p
}

// set replaces the section of that title, or adds it at the end.
func (p *page) set(s section) {
	if i := slices.IndexFunc(p.sections, func(o section) bool { return o.title == s.title }); i >= 0 {
		p.sections[i] = s
		return
	}
	p.sections = append(p.sections, s)
}

func (p *page) String() string {
	out := strings.TrimRight(p.head, "\n") + "\n"
	for _, s := range p.sections {
		out += "\n" + strings.TrimRight(s.text, "\n") + "\n"
	}
	return out
}
