package lang

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plscript/plscript/lang/ir"
)

// loadText loads src as a file of its own.
func loadText(src string, params map[string]string) (*ir.Scenario, ir.Diagnostics) {
	return Load(Input{FS: fstest.MapFS{"f.cue": {Data: []byte(src)}}, Path: "f.cue", Params: params}, testCatalog())
}

func mustLoad(t *testing.T, src string) *ir.Scenario {
	t.Helper()
	s, ds := loadText(src, nil)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	return s
}

func TestLoadDecodesEverything(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/good/imported.cue")
	if err != nil {
		t.Fatal(err)
	}
	got, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: content}}, Path: "f.cue", Params: map[string]string{"namespaces": "12"}}, testCatalog())
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	second := ir.Duration(time.Second)
	duration := 30 * second
	namespaces := &createNamespaces{Count: 12, Waypoint: "waypoint"}
	namespaces.Apps = append(namespaces.Apps, namespacesApp{Name: "waypoint", Type: "waypoint", Replicas: 1, Pods: 2},
		namespacesApp{Name: "app", Type: "ambient", Replicas: 10, Pods: 10, Labels: map[string]string{"app.kubernetes.io/name": "x"}})
	want := &ir.Scenario{
		File: "f.cue", Name: "ambient", Description: "Namespaces of ambient workloads behind a waypoint each; pods come and go.",
		Seed: 1, Cluster: ir.ClusterSandbox, Kubelet: ir.Kubelet{TerminationGracePeriod: ir.Duration(30 * time.Second)}, MaxPending: 20000, MaxLateness: ir.Duration(100 * time.Millisecond),
		Sandbox: ir.Sandbox{Istiod: ir.Istiod{Replicas: 1}},
		Proxies: ir.Proxies{Node: "first", Protocol: "delta", Extensions: "none", StreamsPerConnection: 1, Workloads: true},
		Params: []ir.Param{
			{Name: "namespaces", Doc: "How many namespaces.", Type: "int", Default: "10", Value: "12"},
			{Name: "rate", Type: "string", Default: `"5/s"`, Value: `"5/s"`},
		},
		Phases: []*ir.Phase{
			{Name: "mesh", Path: "phases[0]", After: []string{}, Steps: []*ir.Step{
				{Name: "createNamespaces", Kind: "createNamespaces", Path: "phases[0].steps[0]", OnError: ir.OnErrorFail, Body: namespaces}}},
			{Name: "settle", Path: "phases[1]", After: []string{"mesh"}, Steps: []*ir.Step{
				{Name: "wait", Kind: "wait", Path: "phases[1].steps[0]", OnError: ir.OnErrorFail, Timeout: 300 * second,
					Body: &wait{Until: "pods.ready == pods.desired && xds.synced == xds.desired"}}}},
			{Name: "churn", Path: "phases[2]", After: []string{"settle"}, Steps: []*ir.Step{
				{Name: "churnPods", Kind: "churnPods", Path: "phases[2].steps[0]", OnError: ir.OnErrorFail,
					Body: &churnPods{Rate: ir.ConstantRate(5), Arrivals: "poisson", Duration: &duration, Order: "oldFirst"}}}},
		},
		Thresholds: []*ir.Threshold{
			{Name: "endpoint p99", Expr: "changes.endpoint.p99 < duration('1s')", Path: "thresholds[0]"},
			{Name: "nobody disconnected", Expr: "xds.disconnects == 0", Abort: true, Path: "thresholds[1]"},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(ir.Pos{}, ir.Source{}, map[string]ir.Source{})); diff != "" {
		t.Error(diff)
	}
}

func TestFreeFormObjectsSuitKubernetes(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, `
name: "x"
phases: [{name: "a", steps: [{action: "apply", objects: [{n: 1, f: 1.5, s: "${app.name}", b: true, z: null, l: [2], m: {}}]}]}]`)
	got := s.Phases[0].Steps[0].Body.(*apply).Objects
	want := []map[string]any{{"n": int64(1), "f": 1.5, "s": "${app.name}", "b": true, "z": nil, "l": []any{int64(2)}, "m": map[string]any{}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodableStepsAreReturnedBesideDiagnostics(t *testing.T) {
	t.Parallel()
	s, ds := loadText(`
name: "x"
phases: [{name: "a", steps: [
	{action: "wait", until: "a.b", timout: "3s"},
	{action: "nonsense", when: "x > 1"},
	{action: "churnPods", rate: "wrong", arrivals: "poisson", duration: "3s"},
	7,
	{action: "assert", expr: "true"},
]}]`, nil)
	if len(ds) != 4 {
		t.Errorf("want 4 diagnostics, got:\n%v", ds)
	}
	steps := s.Phases[0].Steps
	if len(steps) != 4 {
		t.Fatalf("want 4 steps, got %d", len(steps))
	}
	if w := steps[0].Body.(*wait); w.Until != "a.b" {
		t.Errorf("the wait lost its condition: %+v", w)
	}
	if steps[1].Body != nil || steps[1].When != "x > 1" {
		t.Errorf("a step of an unknown action: %+v", steps[1])
	}
	if c := steps[2].Body.(*churnPods); c.Arrivals != "poisson" || c.Rate.Stages != nil {
		t.Errorf("the good fields of a step with a bad one: %+v", c)
	}
	if steps[3].Path != "phases[0].steps[4]" || steps[3].Index != 4 {
		t.Errorf("a step after one that is none: %s, index %d", steps[3].Path, steps[3].Index)
	}
}

func TestUnknownFieldInEveryAction(t *testing.T) {
	t.Parallel()
	for _, kind := range testCatalog().Kinds() {
		_, ds := loadText(`name: "x", phases: [{name: "a", steps: [{action: "`+kind+`", bogus: 1}]}]`, nil)
		found := false
		for _, d := range ds {
			found = found || d.Code == ir.CodeUnknownField && d.Path == "phases[0].steps[0].bogus"
		}
		if !found {
			t.Errorf("%s: the unknown field was not found:\n%v", kind, ds)
		}
	}
}

func TestOrderOfPhases(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, `
name: "x"
_s: {steps: [{action: "sleep", for: "1s"}]}
phases: [_s & {name: "a"}, _s & {name: "b"}, _s & {name: "c", after: []}, _s & {name: "d", after: ["a", "c", "a"]}]`)
	want := [][]string{{}, {"a"}, {}, {"a", "c"}}
	for i, p := range s.Phases {
		if diff := cmp.Diff(want[i], p.After); diff != "" {
			t.Errorf("%s: %s", p.Name, diff)
		}
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	deep := "x: " + strings.Repeat("a: ", 200_000) + "1"
	for name, test := range map[string]struct {
		content, want string
		code          ir.Code
	}{
		"large":     {strings.Repeat("// x\n", 300_000), "too large", ir.CodeUnreadable},
		"nul":       {"name: \"x\x00\"", "not a text file", ir.CodeUnreadable},
		"utf8":      {"name: \"\xff\xfe\"", "not valid UTF-8", ir.CodeUnreadable},
		"chain":     {deep, "nested too deeply", ir.CodeTooExpensive},
		"brackets":  {"x: " + strings.Repeat("[", 500_000), "nested too deeply", ir.CodeTooExpensive},
		"selectors": {"x: a" + strings.Repeat(".a", 400_000), "nested too deeply, or one expression is too long", ir.CodeTooExpensive},
		"sum":       {"x: 1" + strings.Repeat("+1", 400_000), "one expression is too long", ir.CodeTooExpensive},
		"strings":   {`x: "` + strings.Repeat(`\("`, 100_000), "", ir.CodeSyntax},
		"long":      {strings.Repeat("a: 1\n", 60_000), "too long", ir.CodeTooExpensive},
		"spaces":    {" \n\t\n", "the file is empty", ir.CodeEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ds := loadText(test.content, nil)
			if s != nil || len(ds) != 1 || !strings.Contains(ds[0].Message, test.want) || !ds[0].Pos.IsValid() {
				t.Errorf("got %v", ds)
			}
			if len(ds) == 1 && ds[0].Code != test.code && test.code != ir.CodeSyntax {
				t.Errorf("code %q", ds[0].Code)
			}
		})
	}
}

func TestMissingFileAndFolder(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{"dir/x.cue": {Data: []byte("a: 1")}}
	for path, want := range map[string]string{"none.cue": "there is no such file", "dir": "this is a folder"} {
		_, ds := Load(Input{FS: fsys, Path: path}, testCatalog())
		if len(ds) != 1 || !strings.Contains(ds[0].Message, want) || ds[0].Pos != start(path) {
			t.Errorf("%s: got %v", path, ds)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	content, err := os.ReadFile("testdata/good/imported.cue")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ds := loadText(string(content), nil); len(ds) > 0 {
			b.Fatal(ds)
		}
	}
}

// A scenario of about a hundred lines.
func BenchmarkLoadLong(b *testing.B) {
	var src strings.Builder
	src.WriteString("name: \"x\"\nphases: [\n")
	for i := range 20 {
		name := string(rune('a' + i))
		src.WriteString("{name: \"" + name + `", steps: [
	{action: "createNamespaces", count: 3, apps: [{name: "app", type: "sidecar", pods: 3}]},
	{action: "churnPods", rate: "5/s", duration: "3s"},
	{action: "wait", until: "pods.ready == pods.desired"},
]},
`)
	}
	src.WriteString("]\n")
	for b.Loop() {
		if _, ds := loadText(src.String(), nil); len(ds) > 0 {
			b.Fatal(ds)
		}
	}
}
