package lang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// resolver connects phases by their names.
type resolver struct {
	phases     []phaseRefs
	thresholds []thresholdName
}

// thresholdName is where a threshold says its name, or the expression that is used as one.
type thresholdName struct {
	name, path string
	pos        ir.Pos
}

// phaseRefs is a phase with the places of its names.
type phaseRefs struct {
	phase    *ir.Phase
	namePos  ir.Pos
	explicit bool // it says "after"
	afterPos ir.Pos
	after    []phaseRef
}

type phaseRef struct {
	name, path string
	pos        ir.Pos
}

// resolve sets what each phase waits for, and reports names that are not unique, unknown phases and cycles.
func (r *resolver) resolve(found *found) {
	byName := r.unique(found)
	names := make([]string, 0, len(byName))
	for _, p := range r.phases {
		names = append(names, p.phase.Name)
	}
	for i, p := range r.phases {
		p.phase.After = []string{}
		if !p.explicit && i > 0 {
			p.phase.After = []string{r.phases[i-1].phase.Name}
		}
		for _, ref := range p.after {
			switch {
			case byName[ref.name] == nil:
				if slices.Contains(names, "") {
					continue // a phase's name is reported, and may be the one that is meant
				}
				others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == p.phase.Name })
				found.add(ir.Diagnostic{Pos: ref.pos, Path: ref.path, Code: ir.CodeUnknownPhase,
					Message: fmt.Sprintf("unknown phase %q", ref.name), Suggestion: ir.Nearest(ref.name, others)})
			case ref.name == p.phase.Name:
				found.add(ir.Diagnostic{Pos: ref.pos, Path: ref.path, Code: ir.CodeCycle,
					Message: fmt.Sprintf("phase %q cannot wait for itself", ref.name)})
			case !slices.Contains(p.phase.After, ref.name):
				p.phase.After = append(p.phase.After, ref.name)
			}
		}
	}
	r.cycles(found, byName)
	uniqueThresholds(found, r.thresholds)
}

// unique reports phases with the same name and returns the first of each.
func (r *resolver) unique(found *found) map[string]*phaseRefs {
	byName := map[string]*phaseRefs{}
	for i := range r.phases {
		p := &r.phases[i]
		name := p.phase.Name
		if name == "" {
			continue // reported as missing
		}
		if first := byName[name]; first != nil {
			found.add(ir.Diagnostic{Pos: p.namePos, Path: join(p.phase.Path, "name"), Code: ir.CodeDuplicate,
				Message: fmt.Sprintf("there is already a phase %q, at line %d", name, first.namePos.Line)})
			continue
		}
		byName[name] = p
	}
	return byName
}

// cycles reports each ring of phases that wait for each other once, at its first member in the file that says "after",
// and breaks it there so that later passes see an order.
func (r *resolver) cycles(found *found, byName map[string]*phaseRefs) {
	const (
		unseen = iota
		open
		done
	)
	state := map[string]int{}
	var stack []string
	var visit func(name string)
	visit = func(name string) {
		state[name] = open
		stack = append(stack, name)
		p := byName[name].phase
		for _, next := range slices.Clone(p.After) {
			switch {
			case byName[next] == nil:
			case state[next] == unseen:
				visit(next)
			case state[next] == open:
				ring := stack[slices.Index(stack, next):]
				r.cycle(found, byName, ring)
				p.After = slices.DeleteFunc(p.After, func(n string) bool { return n == next })
			}
		}
		stack = stack[:len(stack)-1]
		state[name] = done
	}
	for _, p := range r.phases {
		if name := p.phase.Name; byName[name] != nil && state[name] == unseen {
			visit(name)
		}
	}
}

func (r *resolver) cycle(found *found, byName map[string]*phaseRefs, ring []string) {
	// Start with the member that stands first in the file, so that the message does not depend on where the search began.
	at := -1
	for _, p := range r.phases {
		if i := slices.Index(ring, p.phase.Name); i >= 0 && p.explicit && byName[p.phase.Name].phase == p.phase {
			at = i
			break
		}
	}
	if at < 0 {
		return // without an "after" the order is that of the list
	}
	ring = append(slices.Clone(ring[at:]), ring[:at]...)
	first := byName[ring[0]]
	found.add(ir.Diagnostic{Pos: first.afterPos, Path: join(first.phase.Path, "after"), Code: ir.CodeCycle,
		Message: fmt.Sprintf("phases wait for each other: %s -> %s", strings.Join(ring, " -> "), ring[0])})
}

func uniqueThresholds(found *found, thresholds []thresholdName) {
	first := map[string]thresholdName{}
	for _, t := range thresholds {
		if t.name == "" {
			continue
		}
		if other, ok := first[t.name]; ok {
			found.add(ir.Diagnostic{Pos: t.pos, Path: t.path, Code: ir.CodeDuplicate,
				Message: fmt.Sprintf("there is already a threshold %q, at line %d", t.name, other.pos.Line)})
			continue
		}
		first[t.name] = t
	}
}
