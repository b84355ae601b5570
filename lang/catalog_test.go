package lang

import (
	"slices"

	"github.com/plscript/plscript/lang/ir"
)

// catalog is a small set of actions, shaped like the real ones.
type catalog map[string]ir.Fragment

func (c catalog) Lookup(kind string) (ir.Fragment, bool) { f, ok := c[kind]; return f, ok }

func (c catalog) Kinds() []string {
	var kinds []string
	for k := range c {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

func testCatalog() catalog {
	c := catalog{}
	for _, f := range []ir.Fragment{
		{Kind: "createNamespaces", CUE: createNamespacesCUE, Idempotent: true, New: func() any { return new(createNamespaces) }},
		{Kind: "churnPods", CUE: churnPodsCUE, New: func() any { return new(churnPods) }},
		{Kind: "wait", CUE: waitCUE, Idempotent: true, New: func() any { return new(wait) }},
		{Kind: "apply", CUE: applyCUE, Idempotent: true, New: func() any { return new(apply) }},
		{Kind: "assert", CUE: assertCUE, Idempotent: true, New: func() any { return new(assert) }},
		{Kind: "sleep", CUE: sleepCUE, Idempotent: true, New: func() any { return new(sleep) }},
		{Kind: "scale", CUE: scaleCUE, New: func() any { return new(scale) }},
	} {
		f.File = "actions/" + f.Kind + ".cue"
		c[f.Kind] = f
	}
	return c
}

type createNamespaces struct {
	Count    int               `json:"count"`
	Labels   map[string]string `json:"labels"`
	Waypoint string            `json:"waypoint"`
	Apps     []namespacesApp   `json:"apps"`
}

type namespacesApp struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Replicas int               `json:"replicas"`
	Pods     int               `json:"pods"`
	Labels   map[string]string `json:"labels"`
}

const createNamespacesCUE = `
// Create namespaces with apps in them.
#createNamespaces: {
	action: "createNamespaces"
	// How many namespaces.
	count!: int & >=1 & <=100000
	// Labels of each namespace.
	labels?: [string]: string
	// The waypoint that the namespaces use.
	waypoint?: #Name
	// What runs in each namespace.
	apps: *[] | [...#createNamespacesApp]
}

// An app of a namespace.
#createNamespacesApp: {
	// Its name.
	name!: #Name
	// What its pods are.
	type: *"plain" | "sidecar" | "ambient" | "gateway" | "waypoint" | "external" | "vm"
	// Copies of the app, one Service each.
	replicas: *1 | int & >0
	// Pods of each copy.
	pods: *1 | int & >=0
	// Labels of the pods.
	labels?: [string]: string
}
`

type churnPods struct {
	Rate     ir.Rate      `json:"rate"`
	Arrivals string       `json:"arrivals"`
	Duration *ir.Duration `json:"duration"`
	Order    string       `json:"order"`
}

const churnPodsCUE = `
// Replace pods at a rate.
#churnPods: {
	action: "churnPods"
	// How often.
	rate!: #Rate
	// How arrivals are spread.
	arrivals: *"constant" | "poisson" | "uniform" | "normal"
	// How long; without it the step must be in the background.
	duration?: #Duration
	// Which pods go first.
	order: *"oldFirst" | "newFirst"
}
`

type wait struct {
	Until string `json:"until"`
}

const waitCUE = `
// Wait until a condition holds.
#wait: {
	action: "wait"
	// The condition.
	until!: #CEL
	// How long to wait.
	timeout: *"5m" | #Duration
}
`

type apply struct {
	Scope   string           `json:"scope"`
	Objects []map[string]any `json:"objects"`
	Count   int              `json:"count"`
}

const applyCUE = `
// Apply objects.
#apply: {
	action: "apply"
	// What each object is applied to.
	scope: *"cluster" | "namespace" | "app" | "pod"
	// Templates of the objects.
	objects!: [{...}, ...{...}]
	// How many of each.
	count: *1 | int & >=1
}
`

type assert struct {
	Expr string `json:"expr"`
}

const assertCUE = `
// End the run unless a condition holds.
#assert: {
	action: "assert"
	// The condition.
	expr!: #CEL
}
`

type sleep struct {
	For ir.Duration `json:"for"`
}

const sleepCUE = `
// Do nothing for a while.
#sleep: {
	action: "sleep"
	// How long.
	for!: #Duration
}
`

type scale struct {
	To       *int    `json:"to"`
	By       *int    `json:"by"`
	Fraction float64 `json:"fraction"`
}

const scaleCUE = `
// Change the number of pods.
#scale: {
	action: "scale"
	// The number to reach.
	to?: int & >=0
	// The number to add.
	by?: int & !=0
	// The share of apps to scale.
	fraction: *1.0 | number & >0 & <=1
	if to != _|_ if by != _|_ {
		to: error("to and by exclude each other")
	}
}
`
