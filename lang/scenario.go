package lang

import (
	"fmt"

	"cuelang.org/go/cue"

	"github.com/plscript/plscript/lang/ir"
)

// scenario checks and decodes the whole file.
func (c *checker) scenario(root cue.Value) *ir.Scenario {
	at := c.files.place(root, start(c.in.name()))
	at = ir.Pos{File: at.File, Line: 1, Col: 1} // what is missing from the file is missing from its start
	s := &ir.Scenario{}
	var names resolver
	c.hidden(root) // first, so that an error is found where it is and not where it is used
	c.fields(root, c.defs.scenario, "", at, special{
		"phases": func(v cue.Value, path string, at ir.Pos) {
			c.each(v, path, at, "phase", func(_ int, v cue.Value, path string, at ir.Pos) {
				p, r := c.phase(v, path, at)
				s.Phases = append(s.Phases, p)
				names.phases = append(names.phases, r)
			})
		},
		"thresholds": func(v cue.Value, path string, at ir.Pos) {
			c.each(v, path, at, "", func(_ int, v cue.Value, path string, at ir.Pos) {
				t, name := c.threshold(v, path, at)
				if t.Expr != "" { // else it is missing or wrong, and reported
					s.Thresholds = append(s.Thresholds, t)
				}
				names.thresholds = append(names.thresholds, name)
			})
		},
	})
	var plain struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Seed        int64          `json:"seed"`
		Cluster     ir.ClusterMode `json:"cluster"`
		MaxPending  int            `json:"maxPending"`
		MaxLateness ir.Duration    `json:"maxLateness"`
		Sandbox     ir.Sandbox     `json:"sandbox"`
		OpenEnded   bool           `json:"openEnded"`
		Kubelet     ir.Kubelet     `json:"kubelet"`
		Proxies     ir.Proxies     `json:"proxies"`
		Oracle      bool           `json:"oracle"`
	}
	c.decode(root, c.defs.scenario, &plain, "", c.sourceIn(root, at))
	s.Name, s.Description, s.Seed, s.Cluster = plain.Name, plain.Description, plain.Seed, plain.Cluster
	s.MaxPending, s.MaxLateness, s.Sandbox = plain.MaxPending, plain.MaxLateness, plain.Sandbox
	s.OpenEnded, s.Kubelet = plain.OpenEnded, plain.Kubelet
	s.Proxies, s.Oracle = plain.Proxies, plain.Oracle
	s.Sandbox.Controllers = s.Cluster == ir.ClusterFakeNodes
	names.resolve(c.found)
	if err := root.Validate(); err != nil && len(c.found.list) == 0 {
		c.found.evaluation(c.files, err, "", ir.Pos{}, "")
	}
	return s
}

// each walks the elements of a list that is checked element by element. noun is what must not be missing from it, ""
// if the list may be empty.
func (c *checker) each(v cue.Value, path string, at ir.Pos, noun string, do func(i int, v cue.Value, path string, at ir.Pos)) {
	switch k := shape(v); k {
	case cue.ListKind:
	case cue.BottomKind:
		c.broken(v, path, at)
		return
	default:
		c.refused(wrongKind(cue.ListKind, k), path, at)
		return
	}
	before := c.found.count
	list := elements(v)
	for i, e := range list {
		sub, pos := index(path, i), c.files.place(e, at)
		switch k := shape(e); k {
		case cue.StructKind:
			do(i, e, sub, pos)
		case cue.BottomKind:
			c.broken(e, sub, pos)
		default:
			c.refused(wrongKind(cue.StructKind, k), sub, pos)
		}
	}
	c.whole(v, path, at, before)
	if len(list) == 0 && noun != "" && c.found.count == before {
		c.found.add(ir.Diagnostic{Pos: at, Path: path, Code: ir.CodeEmpty, Message: fmt.Sprintf("want at least one %s", noun)})
	}
}

func (c *checker) phase(v cue.Value, path string, at ir.Pos) (*ir.Phase, phaseRefs) {
	p := &ir.Phase{Path: path, Pos: at}
	refs := phaseRefs{phase: p, namePos: at}
	c.fields(v, c.defs.phase, path, at, special{
		"steps": func(v cue.Value, path string, at ir.Pos) {
			c.each(v, path, at, "step", func(i int, v cue.Value, path string, at ir.Pos) {
				before := c.found.lost
				s := c.step(v, path, at)
				if c.found.lost > before {
					return // what is left of it would only lead to further complaints
				}
				s.Index = i
				p.Steps = append(p.Steps, s)
			})
		},
	})
	var plain struct {
		Name     string   `json:"name"`
		After    []string `json:"after"`
		Parallel bool     `json:"parallel"`
	}
	c.decode(v, c.defs.phase, &plain, path, c.sourceIn(v, at))
	p.Name, p.Parallel = plain.Name, plain.Parallel
	if name, ok := lookup(v, "name"); ok {
		refs.namePos = c.files.place(name, at)
	}
	after, ok := lookup(v, "after")
	if !ok {
		return p, refs
	}
	refs.explicit, refs.afterPos = true, c.files.place(after, at)
	for i, e := range elements(after) {
		sub := index(join(path, "after"), i)
		if name, err := e.String(); err == nil && !c.found.explains(sub) {
			refs.after = append(refs.after, phaseRef{name: name, path: sub, pos: c.files.place(e, refs.afterPos)})
		}
	}
	return p, refs
}

func (c *checker) threshold(v cue.Value, path string, at ir.Pos) (*ir.Threshold, thresholdName) {
	c.fields(v, c.defs.threshold, path, at, nil)
	var plain struct {
		Name  string `json:"name"`
		Expr  string `json:"expr"`
		Abort bool   `json:"abort"`
	}
	c.decode(v, c.defs.threshold, &plain, path, c.sourceIn(v, at))
	t := &ir.Threshold{Name: plain.Name, Expr: plain.Expr, Abort: plain.Abort, Path: path, Pos: at, Source: ir.NewSource(at, nil)}
	if expr, ok := lookup(v, "expr"); ok {
		t.Source = c.files.source(expr, at)
	}
	name := thresholdName{name: t.Name, path: join(path, "name"), pos: at}
	if v, ok := lookup(v, "name"); ok {
		name.pos = c.files.place(v, at)
	}
	if t.Name == "" {
		t.Name = t.Expr
		name = thresholdName{name: t.Expr, path: join(path, "expr"), pos: t.Source.Pos}
	}
	return t, name
}

// hidden looks for errors in the hidden fields and definitions of the file.
func (c *checker) hidden(root cue.Value) {
	it, err := root.Fields(cue.Hidden(true), cue.Definitions(true))
	if err != nil {
		return
	}
	for it.Next() {
		if it.Selector().LabelType() != cue.StringLabel {
			c.unused(it.Value(), it.Selector().String(), c.found.fallback)
		}
	}
}
