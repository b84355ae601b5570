package pilotload

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// namer gives names that do not meet. A name with a count above one stands for name-0, name-1 and so on.
type namer struct {
	taken []numbered
}

type numbered struct {
	base  string
	count int
}

// meets reports whether the two stand for a common name.
func (a numbered) meets(b numbered) bool {
	switch {
	case a.count == 1 && b.count == 1 || a.count > 1 && b.count > 1:
		return a.base == b.base
	case a.count > 1:
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(a.base, b.base+"-")
	n, err := strconv.Atoi(rest)
	return ok && err == nil && n >= 0 && n < b.count && strconv.Itoa(n) == rest
}

// name returns want, or the next name like it that is free.
func (n *namer) name(want string, count int) string {
	x := numbered{want, count}
	for i := 2; n.has(x); i++ {
		x.base = fmt.Sprintf("%s-x%d", want, i)
	}
	n.taken = append(n.taken, x)
	return x.base
}

func (n *namer) has(x numbered) bool {
	for _, t := range n.taken {
		if t.meets(x) {
			return true
		}
	}
	return false
}

// maxName leaves room for the numbers that are added to names.
const maxName = 48

// valid makes s a name that Kubernetes and the language take.
func valid(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, s)
	s = strings.Trim(s[:min(len(s), maxName)], "-")
	if s == "" {
		return "x"
	}
	return s
}

// assign names everything. With stable names they are those that pilot-load gives.
func (r *reader) assign(c *config) {
	var spaces namer
	for i, ns := range c.namespaces {
		want := r.valid(ns.at, ns.name)
		if c.stableNames && ns.replicas > 1 {
			want = fmt.Sprintf("%s-%d", want, i)
		}
		ns.base = r.free(&spaces, ns.at, want, ns.replicas)
		var apps namer
		for j, a := range ns.apps {
			if a.kind == "waypoint" && a.replicas > 1 {
				r.warnf(a.at.node, a.at.path, ir.CodeValue, "a waypoint has one copy, as namespaces find it by its name: pilot-load makes all %d under one name", a.replicas)
				a.replicas = 1
			}
			want := r.valid(a.at, a.name)
			switch {
			case !c.stableNames:
			case a.kind == "waypoint":
				want += "-static"
			case a.replicas > 1:
				want = fmt.Sprintf("%s-%d", want, j)
			default:
				want = fmt.Sprintf("%s-%d-0", want, j)
			}
			a.base = r.free(&apps, a.at, want, a.replicas)
		}
	}
	var nodes namer
	for i := range c.nodes {
		n := &c.nodes[i]
		n.name = nodes.name(r.valid(n.at, n.name), max(2, n.count)) // nodes have a number also if there is one
	}
}

func (r *reader) valid(at value, name string) string {
	ok := valid(name)
	if ok != name {
		r.warnf(at.node, join(at.path, "name"), ir.CodeValue, "Kubernetes takes no name like %q: it becomes %q", shorten(name), ok)
	}
	return ok
}

func (r *reader) free(n *namer, at value, want string, count int) string {
	got := n.name(want, count)
	if got != want {
		r.warnf(at.node, join(at.path, "name"), ir.CodeDuplicate, "there is another %q already: this one becomes %q", want, got)
	}
	return got
}
