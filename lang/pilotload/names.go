package pilotload

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// namer gives names that do not meet. A name with a count above one stands for name-0, name-1 and so on.
type namer struct {
	single map[string]bool
	ends   map[string][]int // of the single names that end in a number: which, by what is before it
	many   map[string]int   // the others, with their counts
	tries  map[string]int   // where to go on looking for a name that is free
}

func newNamer() *namer {
	return &namer{single: map[string]bool{}, ends: map[string][]int{}, many: map[string]int{}, tries: map[string]int{}}
}

// name returns want, or the next name like it that is free.
func (n *namer) name(want string, count int) string {
	base := want
	for !n.free(base, count) {
		n.tries[want]++
		base = fmt.Sprintf("%s-x%d", want, n.tries[want]+1)
	}
	if count > 1 {
		n.many[base] = count
		return base
	}
	n.single[base] = true
	if before, i, ok := numbered(base); ok {
		n.ends[before] = append(n.ends[before], i)
	}
	return base
}

func (n *namer) free(base string, count int) bool {
	if count > 1 {
		return n.many[base] == 0 && !slices.ContainsFunc(n.ends[base], func(i int) bool { return i < count })
	}
	before, i, ok := numbered(base)
	return !n.single[base] && (!ok || i >= n.many[before])
}

// numbered takes a name of several, like "mesh-3", apart.
func numbered(name string) (base string, i int, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return "", 0, false
	}
	i, err := strconv.Atoi(name[at+1:])
	return name[:at], i, err == nil && strconv.Itoa(i) == name[at+1:]
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
	spaces := newNamer()
	for i, ns := range c.namespaces {
		want := r.valid(ns.at, ns.name)
		if c.stableNames && ns.replicas > 1 {
			want = fmt.Sprintf("%s-%d", want, i)
		}
		ns.base = r.free(spaces, ns.at, want, ns.replicas)
		apps := newNamer()
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
			a.base = r.free(apps, a.at, want, a.replicas)
		}
	}
	nodes := newNamer()
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
