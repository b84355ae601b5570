package runtime

import "fmt"

// The most that a plan works out. A scenario past them is a slip of the keyboard, and planning it would take minutes or
// all of the memory.
const (
	// MaxCreated is for the objects of one kind that a step creates. Pods have a limit of their own, that of their addresses.
	MaxCreated = 1_000_000
	// maxArrivals is for one rate step: 500 a second for a day.
	maxArrivals = 50_000_000
)

// checkCreated refuses a step that creates too many objects of a kind.
func (p *Planner) checkCreated(in Intent) error {
	if in.Verb != VerbCreate || in.Kind == "Pod" {
		return nil
	}
	if p.step.writes[WriteKey{in.Verb, in.Group, in.Kind}] > MaxCreated {
		return fmt.Errorf("too many objects: more than %d of kind %s", MaxCreated, in.Kind)
	}
	return nil
}

// checkArrivals refuses a load that goes on for too long at its rate.
func checkArrivals(l Load) error {
	n := l.Rate.Between(0, l.Duration.Std())
	if most := float64(l.Count); l.Duration == 0 || l.Count > 0 && most < n {
		n = most
	}
	if n > maxArrivals {
		return fmt.Errorf("too many arrivals: %.0f, of at most %d in one step", n, maxArrivals)
	}
	return nil
}
