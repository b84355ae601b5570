package runtime

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/plscript/plscript/lang/ir"
)

// Planner collects what one step will do. It changes the planned mesh as the run would.
type Planner struct {
	Mesh *Mesh
	Rand *rand.Rand // the step's own generator
	// Params are the scenario's parameters, for templates.
	Params map[string]any
	Inputs Inputs // nil if the scenario can name no files
	Step   *ir.Step
	// Proxies say how the run's XDS clients behave.
	Proxies ir.Proxies

	when *rand.Rand
	step *StepPlan
	plan *Plan
}

// WriteKey names writes that are counted together.
type WriteKey struct {
	Verb  Verb   `json:"verb"`
	Group string `json:"group,omitempty"` // API group, "" for the core
	Kind  string `json:"kind"`
}

// WriteCount is how many writes of one verb and kind are made.
type WriteCount struct {
	WriteKey
	Count int64 `json:"count"`
}

// StepPlan is what one step will do.
type StepPlan struct {
	Name       string
	Kind       string
	Pos        ir.Pos
	When       string // the condition it hangs on, "" if none
	Background bool
	Detail     string // what a step without writes does: the condition it waits for
	writes     map[WriteKey]int64
	derived    map[WriteKey]int64
	Streams    map[ProxyClass]int64 // opened, replacements included
	Calls      map[Stage]int64      // requests to istiod's injection webhook and its certificate authority, and addresses asked for on demand
	Load       *Load                // of a rate step
	Arrivals   int64                // of a rate step with a duration
	Expected   time.Duration        // how long it takes at least: durations, sleeps and pauses
	First      []string             // the first operations, exactly as a run with this seed makes them
}

// firstOperations is how many operations a plan shows.
const firstOperations = 5

// Writes returns the requests that the step itself makes, sorted by kind and verb.
func (s *StepPlan) Writes() []WriteCount { return sortedCounts(s.writes) }

// Derived returns the requests that follow in the cluster: the fake kubelet's and the controllers'. Coalescing may make
// fewer of them.
func (s *StepPlan) Derived() []WriteCount { return sortedCounts(s.derived) }

func sortedCounts(m map[WriteKey]int64) []WriteCount {
	out := make([]WriteCount, 0, len(m))
	for k, n := range m {
		out = append(out, WriteCount{k, n})
	}
	slices.SortFunc(out, func(a, b WriteCount) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Verb, b.Verb))
	})
	return out
}

// Do counts intents.
func (p *Planner) Do(intents Intents) error {
	for in, err := range intents {
		if err != nil {
			return err
		}
		p.count(in)
		if err := p.checkCreated(in); err != nil {
			return err
		}
	}
	return nil
}

func (p *Planner) count(in Intent) {
	if in.Pause > 0 {
		p.step.Expected += in.Pause
		return
	}
	if in.Verb != "" && !p.phantom(in) {
		p.step.writes[WriteKey{in.Verb, in.Group, in.Kind}]++
	}
	p.countCalls(in)
	if in.Want != nil {
		p.step.Streams[in.Class]++
		p.plan.Proxies[in.Class]++
	}
	for _, f := range in.Forget {
		p.plan.Proxies[f.Class]--
	}
	p.countDerived(in)
	if len(p.step.First) < firstOperations && !p.phantom(in) {
		p.step.First = append(p.step.First, in.does()+" "+in.about())
	}
}

// phantom reports whether the intent is about what a cluster with nodes of its own must not get: it exists in the plan,
// and in the EndpointSlices.
func (p *Planner) phantom(in Intent) bool {
	return p.plan.Phantoms() && !in.Unplaced && (in.Kind == "Node" || in.Kind == "Lease" || in.Kind == "Pod")
}

// countDerived counts what follows from a write in that half of the cluster which is the run's.
func (p *Planner) countDerived(in Intent) {
	slice := func(v Verb) WriteKey { return WriteKey{v, "discovery.k8s.io", "EndpointSlice"} }
	switch {
	case p.phantom(in) && in.Kind == "Pod":
		p.step.derived[slice(VerbUpdate)]++
	case in.Verb == VerbDelete && !p.plan.Phantoms() && p.Mesh.GracePeriod > 0:
		// The kubelet says that the containers have ended, and then lets the pod go.
		ends := in.Pods
		if in.Kind == "Pod" && !in.Unplaced {
			ends++
		}
		p.derive(WriteKey{VerbStatus, "", "Pod"}, ends)
		p.derive(WriteKey{VerbDelete, "", "Pod"}, ends)
	case in.Verb != VerbCreate || p.phantom(in):
	case in.Kind == "Pod":
		p.step.derived[WriteKey{VerbStatus, "", "Pod"}]++
	case in.Kind == "Service" && (in.OwnSlices || !p.plan.Controllers()):
		p.step.derived[slice(VerbCreate)]++
	}
}

func (p *Planner) derive(key WriteKey, n int64) {
	if n > 0 {
		p.step.derived[key] += n
	}
}

// countCalls counts what is asked of istiod besides streams.
func (p *Planner) countCalls(in Intent) {
	switch in.Injection {
	case InjectDirect:
		p.step.Calls[StageInjection]++
	case InjectWebhook:
		p.step.Calls[StageAdmission]++
	}
	if in.CSR || in.Certificate != nil {
		p.step.Calls[StageCertificate]++
	}
	if in.Demand != nil {
		p.step.Calls[StageDemand]++
	}
}

// Says notes what the step does where no count tells.
func (p *Planner) Says(detail string) { p.step.Detail = detail }

// Takes says that the step lasts at least d.
func (p *Planner) Takes(d time.Duration) { p.step.Expected += d }

// Arrive counts a rate step: what [Env.Arrive] would start. A load without an end has no count.
func (p *Planner) Arrive(l Load, next func(i int) ([]Intent, error)) error {
	p.step.Load = &l
	if l.Endless() {
		return nil
	}
	if err := checkArrivals(l); err != nil {
		return err
	}
	took := l.Duration.Std()
	for at := range l.Arrivals(p.when) {
		intents, err := next(int(p.step.Arrivals))
		if err != nil {
			return err
		}
		for _, in := range intents {
			p.count(in)
		}
		if p.step.Arrivals++; p.step.Arrivals == int64(l.Count) {
			took = at // the load is over, whatever its duration
		}
	}
	p.step.Expected += took
	return nil
}

// PhasePlan is what one phase will do.
type PhasePlan struct {
	Name     string
	After    []string
	Parallel bool
	Steps    []*StepPlan
}

// Plan is what a scenario will do, as far as it is known before it runs.
type Plan struct {
	Scenario   *ir.Scenario
	Phases     []*PhasePlan
	Population Population           // at the end
	Proxies    map[ProxyClass]int64 // desired at the end
	AutoNodes  int64                // nodes added because the scenario makes none itself
}

// Phantoms reports whether nodes and pods are only planned, and kept from the api-server.
func (p *Plan) Phantoms() bool { return p.Scenario.Cluster == ir.ClusterReal }

// Controllers reports whether EndpointSlices and ServiceAccounts are made by controllers of the cluster's own.
func (p *Plan) Controllers() bool { return p.Scenario.Cluster == ir.ClusterFakeNodes }

// Expected is how long the run takes at least: the longest path through the phases.
func (p *Plan) Expected() time.Duration {
	ends := map[string]time.Duration{}
	var last time.Duration
	for _, ph := range p.Phases {
		var start, took time.Duration
		for _, a := range ph.After {
			start = max(start, ends[a])
		}
		for _, s := range ph.Steps {
			switch {
			case s.Background:
			case ph.Parallel:
				took = max(took, s.Expected)
			default:
				took += s.Expected
			}
		}
		ends[ph.Name] = start + took
		last = max(last, start+took)
	}
	return last
}

// Totals sums the plan's requests: those of the steps and those that follow in the cluster.
func (p *Plan) Totals() (writes, derived []WriteCount) {
	w, d := map[WriteKey]int64{}, map[WriteKey]int64{}
	for _, ph := range p.Phases {
		for _, s := range ph.Steps {
			for k, n := range s.writes {
				w[k] += n
			}
			for k, n := range s.derived {
				d[k] += n
			}
		}
	}
	return sortedCounts(w), sortedCounts(d)
}

// Calls sums the requests to istiod's injection webhook and its certificate authority, and the addresses asked for.
func (p *Plan) Calls() map[Stage]int64 {
	out := map[Stage]int64{}
	for _, ph := range p.Phases {
		for _, s := range ph.Steps {
			for k, n := range s.Calls {
				out[k] += n
			}
		}
	}
	return out
}

// What plscript's own memory is made of, in bytes, measured on a laptop: itself with nothing to do, a pod in the watches
// of the fake kubelet and in the planned mesh, and a synced stream with a connection of its own in a mesh of hundreds of
// services.
const (
	memoryIdle   = 60 << 20
	memoryPod    = 2 << 10
	memoryStream = 100 << 10
)

// Memory estimates the resident memory that a run needs of plscript itself, in bytes.
func (p *Plan) Memory() int64 {
	streams := int64(0)
	for _, n := range p.Proxies {
		streams += n
	}
	return memoryIdle + memoryPod*p.Population.Pods + memoryStream*streams
}
