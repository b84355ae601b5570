// Package ir is the checked scenario as plain Go: what package lang produces and package runtime consumes.
//
// It imports nothing of the project, so that neither side can reach into the other: no CUE value leaves lang, and lang
// knows no action. The one seam between them is [Catalog], through which actions hand lang their CUE fragments.
package ir

import (
	"strconv"
	"time"
)

// Scenario is one checked scenario file: every field has its default, every step its typed body.
type Scenario struct {
	File        string // as the user named it
	Name        string
	Description string
	Seed        int64 // the root of every random choice; see [Step]
	Cluster     ClusterMode
	Kubelet     Kubelet
	MaxPending  int      // arrivals a rate step may have waiting before further ones are dropped and counted
	MaxLateness Duration // the start lateness p99 above which a run is invalid
	Sandbox     Sandbox
	Proxies     Proxies
	Oracle      bool // compare what proxies hold with what a fresh client gets, at the end of each phase
	OpenEnded   bool // an interrupt ends the run well
	Params      []Param
	Phases      []*Phase
	Thresholds  []*Threshold
	Sizes       []Size // from small to large, as the file lists them
}

// Size is one entry of a scenario's matrix: parameters to run it with, under a name.
type Size struct {
	Name    string            `json:"size"`
	Params  map[string]string `json:"-"` // by name, as -t takes them
	Minutes int               `json:"minutes"`
}

// ClusterMode says which half of a cluster is missing, and so is played by the run.
type ClusterMode string

// The cluster modes.
const (
	// ClusterSandbox has nothing but an api-server: pods, slices and the rest are the run's to play.
	ClusterSandbox ClusterMode = "sandbox"
	// ClusterFakeNodes has controllers, which make slices and ServiceAccounts and end namespaces, but no kubelets for the
	// run's nodes.
	ClusterFakeNodes ClusterMode = "fake-nodes"
	// ClusterReal has nodes of its own, which must not be given the run's pods: Nodes and Pods are not written, and Services
	// have no selector.
	ClusterReal ClusterMode = "real"
)

// Kubelet is how the run's kubelets behave. The zero value has pods ready at once and for good, and gone at once.
type Kubelet struct {
	StartDelay Delay  `json:"startDelay"`
	Flaps      *Flaps `json:"readinessFlaps"` // nil for none
	// Shutdown is how long the containers of a deleted pod take to end, at most TerminationGracePeriod.
	Shutdown               Delay    `json:"shutdown"`
	TerminationGracePeriod Duration `json:"terminationGracePeriod"`
}

// GracePeriod is how long pods are given to end, in whole seconds: none where they end at once.
func (k Kubelet) GracePeriod() time.Duration {
	if k.Shutdown.P50 <= 0 {
		return 0
	}
	return (k.TerminationGracePeriod.Std() + time.Second - 1).Truncate(time.Second)
}

// Flaps are the times when a pod is not ready.
type Flaps struct {
	Every Duration `json:"every"` // how long a pod is ready before one, on average; above zero
	Down  Duration `json:"down"`  // how long one takes
}

// Sandbox is how a scenario sets up the istiod it is run against when no target is named.
type Sandbox struct {
	Profile Profile `json:"profile"` // "" where the scenario leaves it open, which is ambient
	Istiod  Istiod  `json:"istiod"`
	// Controllers adds the cluster's own controllers. It follows from the cluster mode.
	Controllers bool `json:"-"`
}

// Ambient reports whether istiod serves an ambient mesh, and thus ztunnels, whose streams it ends otherwise (Istio
// pilot/pkg/xds initConnection): where the profile says so, or istiod's environment.
func (s Sandbox) Ambient() bool {
	on, err := strconv.ParseBool(s.Istiod.Env["PILOT_ENABLE_AMBIENT"])
	return s.Profile != ProfileDefault || err == nil && on
}

// Profile is one of Istio's installation profiles (Istio manifests/profiles).
type Profile string

// The profiles that a sandbox's Istio is installed with.
const (
	ProfileAmbient Profile = "ambient"
	ProfileDefault Profile = "default" // a mesh of sidecars
)

// Istiod sets up the sandbox's istiod. The zero value is istiod's own defaults, so that figures are honest.
type Istiod struct {
	Env      map[string]string `json:"env"`      // added to istiod's environment, e.g. PILOT_DEBOUNCE_AFTER
	Binary   string            `json:"binary"`   // another pilot-discovery than the pinned one
	Replicas int               `json:"replicas"` // 1 unless set
}

// Param is one parameter of a scenario: a field marked @tag, set with -t name=value.
type Param struct {
	Name    string
	Doc     string
	Type    string // "int", "string", "number", "bool"
	Default string // as CUE prints it; "" if there is none
	Value   string // the value of this load
	Pos     Pos
}

// Phase is a named group of steps.
type Phase struct {
	Name     string
	Path     string   // phases[1]
	After    []string // names of the phases that must have ended; resolved, so never nil-means-previous
	Parallel bool     // steps start together instead of in order
	Steps    []*Step
	Pos      Pos
}

// Step is one action with its common fields. Its random choices come from a generator seeded by (scenario seed, phase
// name, index in the phase), so that the same file and seed plan the same operations.
type Step struct {
	Name       string // the action's kind unless the file names it
	Kind       string // "churnPods"
	Path       string // phases[1].steps[0]
	Index      int    // place in its phase
	When       string // CEL condition evaluated once; "" is always
	Timeout    Duration
	OnError    OnError
	Background bool
	Body       any               // pointer to the action's struct, made by [Fragment].New and decoded; nil if the action is unknown
	Sources    map[string]Source // where each field stands, by path relative to the step: "until", "objects[0].spec.hosts[0]"
	Pos        Pos
}

// Source returns where the field at path (relative to the step) stands, falling back to the nearest enclosing field and
// at last to the step itself, so that every diagnostic has a place in the user's file.
func (s *Step) Source(path string) Source {
	for path != "" {
		if src, ok := s.Sources[path]; ok {
			return src
		}
		path = parentPath(path)
	}
	return Source{Pos: s.Pos}
}

func parentPath(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

// OnError says what a step's failure does to the run.
type OnError string

// What a failure does: cancel everything, be shown as tolerated, or be tried again (3 tries, 1 s doubling).
const (
	OnErrorFail     OnError = "fail"
	OnErrorContinue OnError = "continue"
	OnErrorRetry    OnError = "retry"
)

// Threshold is a CEL condition that decides the verdict.
type Threshold struct {
	Name   string // the expression unless the file names it
	Expr   string
	Abort  bool // also evaluated every second of the run; false stops it
	Path   string
	Source Source // where the expression stands
	Pos    Pos
}

// Fragment is what an action declares of itself to the language.
type Fragment struct {
	Kind       string     // "churnPods"
	File       string     // "actions/churn_pods.cue", for positions
	CUE        string     // the definition #<Kind>, with a doc comment on every field
	Idempotent bool       // onError: "retry" is allowed
	New        func() any // a pointer to the zero struct that the step decodes into
}

// Catalog is the set of actions a scenario may name. It is passed to lang, never imported by it.
type Catalog interface {
	Lookup(kind string) (Fragment, bool)
	Kinds() []string // sorted
}
