package pilotload_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue/format"
	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/lang/pilotload"
	"github.com/plscript/plscript/runtime"
)

// compile validates a scenario as the command line does.
func compile(t *testing.T, cue []byte) (*runtime.Graph, ir.Diagnostics) {
	t.Helper()
	s, ds := lang.Load(lang.Input{FS: fstest.MapFS{"s.cue": {Data: cue}}, Path: "s.cue"}, actions.All())
	if s == nil {
		return nil, ds
	}
	g, more := runtime.Compile(t.Context(), s, nil)
	return g, ds.Merge(more)
}

func plan(t *testing.T, cue []byte) *runtime.Plan {
	t.Helper()
	g, ds := compile(t, cue)
	if len(ds) > 0 {
		t.Fatalf("%v\n%s", ds, cue)
	}
	p, ds := g.Plan(t.Context())
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	return p
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExamples: whole configurations come out as the scenario beside them, which plans to the sizes that pilot-load logs.
// UPDATE=1 rewrites the scenarios.
func TestExamples(t *testing.T) {
	t.Parallel()
	type size struct{ Namespaces, Services, Pods, Nodes, Proxies int64 }
	for name, want := range map[string]struct {
		size     size
		warnings []string
	}{
		"waypoints": {size: size{100, 1100, 10200, 50, 250}},
		"ambient":   {size: size{1, 3, 4, 2, 2}},
		"sidecar":   {size: size{1, 1, 1, 1, 1}},
		"ingress":   {size: size{1, 1, 1, 1, 1}},
		"everything": {size{3, 9, 19, 3, 21}, []string{
			`testdata/everything.yaml:6:1: istio: pilot-load reads "istio" no more and makes nothing of it: objects come from ` + "`configs`",
			`testdata/everything.yaml:36:1: templates.secretive: the template "secretive" is not translated: the function "now" is not understood`,
			`testdata/everything.yaml:55:31: namespaces[1].applications[4].gateways: pilot-load reads "gateways" no more and makes nothing of it: objects come from ` + "`configs`",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name+".yaml")
			res := pilotload.Import(pilotload.Input{Name: file, Source: read(t, file)})
			if len(res.Errors) > 0 {
				t.Fatal(res.Errors)
			}
			if d := cmp.Diff(want.warnings, lines(res.Warnings)); d != "" {
				t.Errorf("warnings: %s", d)
			}
			golden := filepath.Join("testdata", name+".cue")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, res.CUE, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(read(t, golden)), string(res.CUE)); d != "" {
				t.Errorf("the scenario is not %s: %s", golden, d)
			}
			p := plan(t, res.CUE)
			got := size{p.Population.Namespaces, p.Population.Services, p.Population.Pods, p.Population.Nodes, 0}
			for _, n := range p.Proxies {
				got.Proxies += n
			}
			if got != want.size {
				t.Errorf("plans %+v, want %+v", got, want.size)
			}
		})
	}
}

func lines(ds ir.Diagnostics) []string {
	var out []string
	for _, d := range ds {
		out = append(out, d.Error())
	}
	return out
}

// run imports YAML that has no errors and checks that the scenario is formatted and valid.
func run(t *testing.T, yaml string) (cue string, warnings []string) {
	t.Helper()
	res := pilotload.Import(pilotload.Input{Name: "c.yaml", Source: []byte(yaml)})
	if len(res.Errors) > 0 {
		t.Fatal(res.Errors)
	}
	plan(t, res.CUE)
	if again, err := format.Source(res.CUE); err != nil || string(again) != string(res.CUE) {
		t.Errorf("not formatted (%v):\n%s", err, cmp.Diff(string(again), string(res.CUE)))
	}
	return string(res.CUE), lines(res.Warnings)
}

// TestTranslation: one key at a time.
func TestTranslation(t *testing.T) {
	t.Parallel()
	const web = "namespaces: [{name: n, applications: [{name: web, pods: 1}]}]\n"
	for name, c := range map[string]struct {
		yaml     string
		has, not []string // lines, or parts of them
		warnings []string
	}{
		"nothing":                        {yaml: "", has: []string{`name:        "c"`, "0 namespaces with 0 services and 0 pods"}, not: []string{"createNamespaces", "createNodes", "thresholds"}},
		"null":                           {yaml: "namespaces:\njitter: ~\n", not: []string{"createNamespaces"}},
		"defaults":                       {yaml: "namespaces: [{applications: [{}]}]", has: []string{`name:   "namespace", count: 1`, `{name: "app", pods: 0}`}, not: []string{"churn", "type:"}},
		"keys in any case":               {yaml: "Namespaces: [{NAME: n, Applications: [{Name: web, Pods: 2}]}]", has: []string{`{name: "web", pods: 2}`}},
		"numbers for names":              {yaml: "namespaces: [{name: 7, applications: [{name: 8, pods: '2'}]}]", has: []string{`name:   "7"`, `{name: "8", pods: 2}`}},
		"jitter":                         {yaml: web + "jitter: {workloads: 90s}", has: []string{`workloads: *"1/1m30s" | schema.#Rate @tag(workloads)`, `action: "churnPods", rate: params.workloads, arrivals: "normal", background: true, unit: "app", percent: 1`, `action: "sleep", for: params.duration`, `duration: *"1m" | schema.#Duration @tag(duration)`}},
		"jitter faster than can be":      {yaml: web + "jitter: {workloads: 1ns}", has: []string{`"1/1µs"`}, warnings: nil},
		"jitter in nanoseconds":          {yaml: web + "jitter: {workloads: 2000000}", has: []string{`"1/2ms"`}, warnings: []string{"c.yaml:2:21: jitter.workloads: a number without a unit is in nanoseconds: this is 2ms"}},
		"negative jitter is none":        {yaml: web + "jitter: {workloads: -2s}", not: []string{"churnPods"}},
		"jitter of large apps":           {yaml: "jitter: {workloads: 1s}\nnamespaces: [{applications: [{pods: 200}]}]", has: []string{"Draws a pod from all"}, not: []string{"percent"}},
		"jitter without pods":            {yaml: "jitter: {workloads: 1s}\nnamespaces: [{applications: [{type: external}]}]", has: []string{"// jitter.workloads: there is no pod to replace."}, not: []string{"churnPods", "@tag(workloads)"}},
		"config jitter without configs":  {yaml: web + "jitter: {config: 1s}", has: []string{"// jitter.config: there is nothing to refresh."}, not: []string{"churnConfig"}, warnings: []string{"c.yaml:2:18: jitter.config: there is nothing to refresh: no app has a config that changes"}},
		"config jitter of machines":      {yaml: "jitter: {config: 1s}\nnamespaces: [{replicas: 2, applications: [{type: vm, pods: 1, configs: [virtualservice]}]}]", has: []string{`of: [{kind: "VirtualService", weight: 2}, {kind: "WorkloadEntry", weight: 2}]`}},
		"config jitter leaves the fixed": {yaml: "jitter: {config: 1s}\nnamespaces: [{applications: [{pods: 1, configs: [tls-secret, istio-gateway, {name: httproute, refresh: false, config: {gateways: [a/b]}}]}]}]", has: []string{`of: [{kind: "Secret"}]`}},
		"config jitter of namespaces":    {yaml: "jitter: {config: 1s}\nnamespaces: [{configs: [{name: virtualservice, config: {Name: a}}], applications: [{pods: 1, configs: [virtualservice]}]}]", has: []string{`of: [{kind: "VirtualService"}]`, `scope: "namespace"`, `metadata: name: "a"`}, warnings: []string{"c.yaml:1:18: jitter.config: objects are chosen by kind: every VirtualService is refreshed, those too that pilot-load leaves as they are"}},
		"secret jitter":                  {yaml: "jitter: {secrets: 1s}\nnamespaces: [{applications: [{pods: 1, configs: [tls-secret, virtualservice]}]}]", has: []string{`rate: params.secrets`, `of: [{kind: "Secret"}]`}},
		"grace period":                   {yaml: "gracePeriod: 2m\nnamespaces: [{name: a, replicas: 2}, {name: b, gracePeriod: 3s, applications: [{name: x, replicas: 2}, {name: y}]}]", has: []string{`gracePeriod: "2m"`, `{action: "sleep", for: "2m"}`, `{name: "x", replicas: 2, pods: 0, gracePeriod: "3s"}`}},
		"stable names":                   {yaml: "stableNames: true\nnamespaces: [{name: a, applications: [{name: w, type: waypoint}, {name: x}]}, {name: a, replicas: 3, waypoint: a/w, applications: [{name: y, replicas: 2}]}]", has: []string{`name:   "a", count: 1`, `{name: "w-static", type: "waypoint", pods: 0}`, `{name: "x-1-0", pods: 0}`, `name:   "a-1", count: 3, waypoint: "a/w-static"`, `{name: "y-0", replicas: 2, pods: 0}`}},
		"names twice": {yaml: "namespaces: [{name: a}, {name: a, applications: [{}, {}]}, {name: a, replicas: 3}, {name: a-2}]", has: []string{`"a-x2"`, `"app-x2"`, `name:   "a", count: 3`, `name:   "a-2-x2", count: 1`}, warnings: []string{
			`c.yaml:1:25: namespaces[1].name: there is another "a" already: this one becomes "a-x2"`,
			`c.yaml:1:54: namespaces[1].applications[1].name: there is another "app" already: this one becomes "app-x2"`,
			`c.yaml:1:84: namespaces[3].name: there is another "a-2" already: this one becomes "a-2-x2"`,
		}},
		"names that are none":      {yaml: "namespaces: [{name: Über_Büro}, {name: '-'}]", has: []string{`"ber-b-ro"`, `"x"`}, warnings: []string{`c.yaml:1:14: namespaces[0].name: Kubernetes takes no name like "Über_Büro": it becomes "ber-b-ro"`, `c.yaml:1:35: namespaces[1].name: Kubernetes takes no name like "-": it becomes "x"`}},
		"nodes":                    {yaml: web + "nodes: [{count: 2}, {name: z, count: 1, ztunnel: {}}, {name: y, ztunnel: null}]\nnodeMetadata: {A: b, C: 3}", has: []string{`{action: "createNodes", name: "node", count: 2}`, `{action: "createNodes", name: "z", count: 1, ztunnel: true, metadata: nodeMetadata}`, `let nodeMetadata = {A: "b", C: "3"}`}, not: []string{`"y"`}},
		"too few nodes":            {yaml: "jitter: {workloads: 1s}\nnodes: [{count: 1}]\nnamespaces: [{applications: [{pods: 255}]}]", has: []string{"count: 2"}, warnings: []string{"c.yaml:2:9: nodes[0].count: 1 node for 256 pods, of which each takes 255: this becomes 2"}},
		"metadata without proxies": {yaml: web + "nodeMetadata: {A: b}", not: []string{"nodeMetadata"}},
		"waypoint":                 {yaml: "namespaces: [{waypoint: w, applications: [{name: w, type: waypoint, replicas: 3, pods: 2}]}]", has: []string{`waypoint: "w"`, `{name: "w", type: "waypoint", pods: 2}`}, warnings: []string{"c.yaml:1:43: namespaces[0].applications[0]: a waypoint has one copy, as namespaces find it by its name: pilot-load makes all 3 under one name"}},
		"waypoint elsewhere":       {yaml: "namespaces: [{waypoint: infra/w}]", has: []string{`waypoint: "infra/w"`}},
		"waypoint nowhere":         {yaml: "namespaces: [{waypoint: w}]", has: []string{`labels: "istio.io/use-waypoint": "w"`}, warnings: []string{`c.yaml:1:25: namespaces[0].waypoint: no app of type waypoint is called "w" in this namespace`}},
		"labels":                   {yaml: "namespaces: [{applications: [{pods: 1, labels: {a/b: c, d: 1}}]}]", has: []string{`serviceLabels: {"a/b": "c", d: "1"}`}},
		"unknown type":             {yaml: "namespaces: [{applications: [{type: sidecr, pods: 2}]}]", has: []string{`{name: "app", pods: 2}`}, warnings: []string{`c.yaml:1:37: namespaces[0].applications[0].type: there is no such type of app: pilot-load makes pods without a proxy of it (did you mean "sidecar"?)`}},
		"instances":                {yaml: "namespaces: [{applications: [{instances: 2}, {name: b, instances: 2, pods: 1}]}]", has: []string{`{name: "app", type: "sidecar", pods: 2}`, `{name: "b"}`}},
		"machines":                 {yaml: "namespaces: [{applications: [{type: vm, pods: 4}]}]", has: []string{"// pilot-load makes one WorkloadEntry for each copy", `type: "vm"`}, not: []string{"pods:"}},
		"several entries":          {yaml: "namespaces: [{name: a, replicas: 2, applications: [{name: x, replicas: 3, configs: [virtualservice]}, {name: y}]}, {name: b, configs: [sidecar]}]", has: []string{`select: "ns.name.matches('^a-[0-9]+$') && app.name.matches('^x-[0-9]+$')"`, `select: "ns.name == 'b'"`}},
		"unknown keys":             {yaml: "namespace: [x]\nnamespaces: [{name: a, app: {}}]\n", has: []string{"// Ignored by pilot-load:\n\t//   namespace: [x]"}, warnings: []string{`c.yaml:1:1: namespace: pilot-load ignores "namespace": there is no such key (did you mean "namespaces"?)`, `c.yaml:2:24: namespaces[0].app: pilot-load ignores "app": there is no such key`}},
		"columns are bytes":        {yaml: "namespaces: [{name: a, applications: [{name: a, pods: 1, é: ä, töö: 1}]}]", warnings: []string{`c.yaml:1:58: namespaces[0].applications[0].é: pilot-load ignores "é": there is no such key`, `c.yaml:1:66: namespaces[0].applications[0].töö: pilot-load ignores "töö": there is no such key`}},
		"a second document":        {yaml: web + "---\nnamespaces: []\n", has: []string{`"web"`}, warnings: []string{"c.yaml:2:1: pilot-load reads the first document only: this one is left out"}},
		"anchors and merges":       {yaml: "base: &b {replicas: 2, pods: 3}\nnamespaces: [{applications: [{<<: *b, name: x}, {<<: [*b, {pods: 9}], name: y, replicas: 1}]}]", has: []string{`{name: "x", replicas: 2, pods: 3}`, `{name: "y", pods: 3}`}, warnings: []string{`c.yaml:1:1: base: pilot-load ignores "base": there is no such key`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cue, warnings := run(t, c.yaml)
			for _, s := range c.has {
				if !strings.Contains(cue, s) {
					t.Errorf("lacks %s", s)
				}
			}
			for _, s := range c.not {
				if strings.Contains(cue, s) {
					t.Errorf("has %s", s)
				}
			}
			if d := cmp.Diff(c.warnings, warnings); d != "" {
				t.Errorf("warnings: %s", d)
			}
			if t.Failed() {
				t.Log(cue)
			}
		})
	}
}
