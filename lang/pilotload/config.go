package pilotload

import (
	"cmp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plscript/plscript/lang/ir"
)

// The largest counts that a scenario takes.
const (
	maxReplicas = 100_000
	maxPods     = 1_000_000
	maxNodeKind = 16_384
	podsPerNode = 255
)

// config is a configuration with pilot-load's defaults filled in.
type config struct {
	gracePeriod time.Duration // between one namespace and the next
	workloads   time.Duration // between one replaced pod and the next, 0 for never
	configs     time.Duration // between one updated object and the next, 0 for never
	secrets     time.Duration // the same for Secrets, which older versions had
	stableNames bool
	metadata    []pair
	nodes       []nodeKind
	namespaces  []*namespace
	templates   map[string]*goTemplate
	dead        []dead

	configsAt, secretsAt value
}

type nodeKind struct {
	at      value
	name    string
	count   int
	ztunnel bool
	dead    []dead
}

// namespace is one entry of `namespaces`: replicas namespaces that are alike.
type namespace struct {
	at          value
	name        string
	replicas    int
	apps        []*app
	uses        []use
	waypoint    string
	waypointAt  value
	gracePeriod time.Duration // between one app and the next
	dead        []dead

	base string // the name in the scenario, to which a number is added if there are several
}

// app is one entry of `applications`.
type app struct {
	at       value
	name     string
	kind     string // "plain", "sidecar", ...
	replicas int
	pods     int
	labels   []pair // of the Service
	uses     []use
	older    bool // it speaks of instances, as older versions did
	dead     []dead

	base string // the name in the scenario, to which a number is added if there are several
}

// use is one entry of `configs`: a template and what it is given.
type use struct {
	at       value
	template string
	config   map[string]any
	refresh  *bool // nil: as the template says
	dead     []dead
}

// proxies reports whether the app's pods have proxies.
func (a *app) proxies() bool {
	return slices.Contains([]string{"sidecar", "gateway", "waypoint"}, a.kind)
}

// inCluster reports whether the app is a Service with pods.
func (a *app) inCluster() bool { return a.kind != "external" && a.kind != "vm" }

func (r *reader) config(root value) *config {
	c := &config{templates: builtins()}
	top := r.each(root, known{
		"gracePeriod":  func(v value) { c.gracePeriod = r.duration(v) },
		"stableNames":  func(v value) { c.stableNames = r.truth(v) },
		"nodeMetadata": func(v value) { c.metadata = r.texts(v) },
		"templates":    func(v value) { r.templates(c, v) },
		"jitter": func(v value) {
			c.dead = append(c.dead, r.each(v, known{
				"workloads": func(v value) { c.workloads = r.duration(v) },
				"config":    func(v value) { c.configs, c.configsAt = r.duration(v), v },
				"secrets":   func(v value) { c.secrets, c.secretsAt = r.duration(v), v },
			})...)
		},
		"nodes": func(v value) {
			for _, n := range r.list(v) {
				c.nodes = append(c.nodes, r.node(n))
			}
		},
		"namespaces": func(v value) {
			for _, n := range r.list(v) {
				c.namespaces = append(c.namespaces, r.namespace(n))
			}
		},
	})
	c.dead = append(c.dead, top...)
	return c
}

func (r *reader) node(v value) nodeKind {
	n := nodeKind{at: v}
	top := r.each(v, known{
		"name":  func(v value) { n.name = r.text(v) },
		"count": func(v value) { n.count = r.count(v, maxNodeKind) },
		"ztunnel": func(v value) {
			if v.node.Kind == yaml.MappingNode {
				n.ztunnel = true
				n.dead = append(n.dead, r.each(v, known{})...)
			} else {
				r.wrong(v, "a mapping, like {}")
			}
		},
		"ambient": func(v value) { n.ztunnel = r.truth(v) || n.ztunnel }, // as older versions called it
	})
	n.dead = append(n.dead, top...)
	n.name = cmp.Or(n.name, "node")
	return n
}

func (r *reader) namespace(v value) *namespace {
	ns := &namespace{at: v}
	ns.dead = r.each(v, known{
		"name":        func(v value) { ns.name = r.text(v) },
		"replicas":    func(v value) { ns.replicas = r.count(v, maxReplicas) },
		"waypoint":    func(v value) { ns.waypoint, ns.waypointAt = r.text(v), v },
		"gracePeriod": func(v value) { ns.gracePeriod = r.duration(v) },
		"configs":     func(v value) { ns.uses = r.uses(v) },
		"applications": func(v value) {
			for _, a := range r.list(v) {
				ns.apps = append(ns.apps, r.app(a))
			}
		},
	})
	ns.name = cmp.Or(ns.name, "namespace")
	ns.replicas = cmp.Or(ns.replicas, 1)
	return ns
}

// kinds are pilot-load's types of apps.
var kinds = []string{"plain", "sidecar", "ambient", "waypoint", "gateway", "external", "vm"}

func (r *reader) app(v value) *app {
	a := &app{at: v}
	pods, kind := value{}, value{}
	a.dead = r.each(v, known{
		"name":     func(v value) { a.name = r.text(v) },
		"type":     func(v value) { a.kind, kind = r.text(v), v },
		"replicas": func(v value) { a.replicas = r.count(v, maxReplicas) },
		"pods":     func(v value) { a.pods, pods = r.count(v, maxPods), v },
		"labels":   func(v value) { a.labels = r.texts(v) },
		"configs":  func(v value) { a.uses = r.uses(v) },
		"instances": func(v value) {
			if n := r.count(v, maxPods); pods.node == nil {
				a.pods, a.older = n, true
			}
		},
	})
	a.older = a.older && pods.node == nil
	a.name = cmp.Or(a.name, "app")
	a.replicas = cmp.Or(a.replicas, 1)
	switch {
	case a.kind == "" && a.older:
		a.kind = "sidecar" // the default of the versions that spoke of instances
	case a.kind == "":
		a.kind = "plain"
	case !slices.Contains(kinds, a.kind):
		r.warn(kind.node, ir.Diagnostic{Code: ir.CodeValue, Path: kind.path,
			Message: "there is no such type of app: pilot-load makes pods without a proxy of it", Suggestion: ir.Nearest(a.kind, kinds)})
		a.kind = "plain"
	}
	return a
}

func (r *reader) uses(v value) []use {
	var out []use
	for _, e := range r.list(v) {
		if e.absent() {
			continue
		}
		u := use{at: e, config: map[string]any{}}
		if e.node.Kind == yaml.ScalarNode {
			u.template = r.text(e)
		} else {
			u.dead = r.each(e, known{
				"name":    func(v value) { u.template = r.text(v) },
				"refresh": func(v value) { b := r.truth(v); u.refresh = &b },
				"config": func(v value) {
					if m, ok := r.plain(v, 0).(map[string]any); ok {
						u.config = m
					} else {
						r.wrong(v, "a mapping")
					}
				},
			})
		}
		out = append(out, u)
	}
	return out
}

// plain reads a free-form value: maps, lists, texts, numbers and booleans.
func (r *reader) plain(v value, depth int) any {
	if depth > maxDepth {
		r.errorf(v.node, v.path, ir.CodeTooExpensive, "nested too deeply")
		return nil
	}
	if v.absent() {
		return nil
	}
	switch v.node.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, f := range r.fields(v) {
			out[f.key.Value] = r.plain(f.value, depth+1)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, e := range r.list(v) {
			out = append(out, r.plain(e, depth+1))
		}
		return out
	}
	return scalar(v.node)
}

// scalar is the value of a scalar node: int64, float64, bool, text, or nil.
func scalar(n *yaml.Node) any {
	if b, ok := boolean(n); ok {
		return b
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		var f float64
		if n.Decode(&f) == nil {
			return f
		}
	}
	return n.Value
}

// usable reports what pilot-load itself would stop at.
func (r *reader) usable(c *config) {
	check := func(uses []use) {
		for _, u := range uses {
			if c.templates[u.template] == nil {
				var names []string
				for name := range c.templates {
					names = append(names, name)
				}
				r.errors = append(r.errors, ir.Diagnostic{Pos: r.pos(u.at.node), Code: ir.CodeUnknownName, Path: u.at.path,
					Message: "there is no template " + quote(shorten(u.template)), Suggestion: ir.Nearest(u.template, names)})
			}
		}
	}
	for _, ns := range c.namespaces {
		check(ns.uses)
		for _, a := range ns.apps {
			check(a.uses)
		}
	}
}
