package capture

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/plscript/plscript/runtime"
)

// Capture is the configuration of a cluster's mesh, reduced to what istiod reads.
type Capture struct {
	// Left is what was found and left out.
	Left []Left

	items []item
	seen  map[objectKey]bool
}

// item is one object of a capture.
type item struct {
	kind *kind
	// object is a Go type for Kubernetes' own kinds and unstructured for all others. It is shared and never changed.
	object runtime.Object
}

type objectKey struct{ group, kind, namespace, name string }

func (i item) key() objectKey {
	return objectKey{i.kind.group, i.kind.name, i.object.GetNamespace(), i.object.GetName()}
}

func (i item) ref() Ref {
	return Ref{Kind: i.kind.name, Namespace: i.object.GetNamespace(), Name: i.object.GetName()}
}

// Ref names an object in messages.
type Ref struct{ Kind, Namespace, Name string }

func (r Ref) String() string {
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + name
	}
	return strings.TrimSpace(cmp.Or(printable(r.Kind), "an object") + " " + printable(name))
}

// printable is a text of somebody else's, fit for a terminal.
func printable(s string) string {
	const longest = 120
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// Left is something that was left out, and why.
type Left struct {
	Ref
	Line   int    // where it begins in the file, 0 if that is not known
	Reason string // completes the sentence that the object begins: "has no name"
}

func (l Left) String() string {
	if l.Line > 0 {
		return fmt.Sprintf("%s (line %d): %s", l.Ref, l.Line, l.Reason)
	}
	return fmt.Sprintf("%s: %s", l.Ref, l.Reason)
}

// Change is something that is written otherwise than it was captured.
type Change struct {
	Ref
	What string
}

func (c Change) String() string { return fmt.Sprintf("%s: %s", c.Ref, c.What) }

// Len is the number of objects.
func (c *Capture) Len() int { return len(c.items) }

// Counts returns the number of objects by kind, sorted by kind; kinds of the same name count together.
func (c *Capture) Counts() []KindCount {
	n := map[string]int{}
	for _, i := range c.items {
		n[i.kind.name]++
	}
	return counts(n)
}

// KindCount is how many objects of a kind there are.
type KindCount struct {
	Kind  string
	Count int
}

func counts(n map[string]int) []KindCount {
	out := make([]KindCount, 0, len(n))
	for k, v := range n {
		out = append(out, KindCount{k, v})
	}
	slices.SortFunc(out, func(a, b KindCount) int { return strings.Compare(a.Kind, b.Kind) })
	return out
}

// CountLeft returns how many of what was left out are of each kind.
func CountLeft(left []Left) []KindCount {
	n := map[string]int{}
	for _, l := range left {
		n[cmp.Or(l.Kind, "unreadable")]++
	}
	return counts(n)
}

// WriteList writes what is left out and what is changed, a line each.
func WriteList(w io.Writer, left []Left, changed []Change) error {
	for _, l := range left {
		if _, err := fmt.Fprintf(w, "left out  %s\n", l); err != nil {
			return err
		}
	}
	for _, c := range changed {
		if _, err := fmt.Fprintf(w, "changed   %s\n", c); err != nil {
			return err
		}
	}
	return nil
}

// add takes an object in, unless the capture has it already.
func (c *Capture) add(i item, line int) {
	if c.seen == nil {
		c.seen = map[objectKey]bool{}
	}
	if c.seen[i.key()] {
		c.leave(i.ref(), line, "is there already, perhaps in another version")
		return
	}
	c.seen[i.key()] = true
	c.items = append(c.items, i)
}

func (c *Capture) leave(r Ref, line int, format string, args ...any) {
	c.Left = append(c.Left, Left{r, line, fmt.Sprintf(format, args...)})
}

// sort orders the objects: by stage, then by kind as listed, namespace and name.
func (c *Capture) sort() {
	place := map[*kind]int{}
	for i := range kinds {
		place[&kinds[i]] = i
	}
	slices.SortFunc(c.items, func(a, b item) int {
		return cmp.Or(
			cmp.Compare(a.kind.stage, b.kind.stage), cmp.Compare(place[a.kind], place[b.kind]),
			strings.Compare(a.object.GetNamespace(), b.object.GetNamespace()), strings.Compare(a.object.GetName(), b.object.GetName()),
		)
	})
}
