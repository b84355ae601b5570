package pilotload_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue/format"
	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/lang/pilotload"
)

// TestErrors: what pilot-load would not read is refused, all of it at once and each at its place.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"syntax":       {"a: [1\nb: 2", []string{"c.yaml:1:1: this is not YAML: did not find expected ',' or ']'"}},
		"tabs":         {"a:\n\tb: 1", []string{"c.yaml:2:1: this is not YAML: found character that cannot start any token"}},
		"scalar":       {"hello", []string{`c.yaml:1:1: want a mapping, got "hello"`}},
		"list":         {"- a", []string{"c.yaml:1:1: want a mapping, got a list"}},
		"binary":       {"a: \x00\x01", []string{"c.yaml:1:1: this is not a text file"}},
		"not UTF-8":    {"a: \xff", []string{"c.yaml:1:1: this is not a text file"}},
		"private use":  {"namespaces: [{name: \"\ue000\"}]", []string{"c.yaml:1:1: the file has characters of Unicode's private use area (U+E000 to U+E002), which stand for other things here"}},
		"too large":    {strings.Repeat("#", pilotload.MaxBytes+1), []string{"c.yaml:1:1: the file is too large: more than 1048576 bytes"}},
		"unknown name": {"a: *b", []string{"c.yaml:1:1: this is not YAML: unknown anchor 'b' referenced"}},
		"wrong types": {"gracePeriod: soon\njitter: 5\nstableNames: maybe\nnamespaces:\n- replicas: many\n  applications: {}\n- applications:\n  - pods: -1\n    replicas: 1000000\n    labels: [a]\nnodes: [{count: 1.5, ztunnel: true}]", []string{
			`c.yaml:1:14: gracePeriod: want a duration, like "500ms", got "soon"`,
			`c.yaml:2:9: jitter: want a mapping, got "5"`,
			`c.yaml:3:14: stableNames: want true or false, got "maybe"`,
			`c.yaml:5:13: namespaces[0].replicas: want a whole number, got "many"`,
			`c.yaml:6:17: namespaces[0].applications: want a list, got a mapping`,
			`c.yaml:8:11: namespaces[1].applications[0].pods: must not be negative: -1`,
			`c.yaml:9:15: namespaces[1].applications[0].replicas: must be at most 100000: 1000000`,
			`c.yaml:10:13: namespaces[1].applications[0].labels: want a mapping, got a list`,
			`c.yaml:11:17: nodes[0].count: want a whole number, got "1.5"`,
			`c.yaml:11:31: nodes[0].ztunnel: want a mapping, like {}, got "true"`,
		}},
		"an unknown template":         {"namespaces: [{configs: [sidecr]}]", []string{`c.yaml:1:25: namespaces[0].configs[0]: there is no template "sidecr" (did you mean "sidecar"?)`}},
		"a scenario that is too long": {"namespaces:\n" + strings.Repeat("- {}\n", 8_000), []string{"c.yaml:1:1: the scenario would be too long to be read: put what is alike into one entry, with replicas"}},
	} {
		res := pilotload.Import(pilotload.Input{Name: "c.yaml", Source: []byte(c.yaml)})
		if d := cmp.Diff(c.want, lines(res.Errors)); d != "" || res.CUE != nil {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// bomb is YAML whose aliases stand for ten to the power of depth values.
func bomb(depth int) string {
	var b strings.Builder
	b.WriteString("x0: &x0 {a: b}\n")
	for i := 1; i <= depth; i++ {
		refs := strings.Repeat(fmt.Sprintf(", *x%d", i-1), 10)[2:]
		fmt.Fprintf(&b, "x%d: &x%d [%s]\n", i, i, refs)
	}
	return b.String()
}

// hostile is input that must cost little and end in a diagnostic or a scenario, whichever.
func hostile() map[string]string {
	apps := "a: &a [" + strings.Repeat("{name: x, type: sidecar, istio: {}},", 100) + "]\n"
	return map[string]string{
		"bomb":             bomb(9),
		"bomb in a config": bomb(9) + "namespaces: [{configs: [{name: sidecar, config: {x: *x9}}]}]",
		"bomb of apps":     apps + "n: &n {applications: *a}\nnamespaces: [" + strings.Repeat("*n,", 10_000) + "]",
		"cycle":            "namespaces: &n [{configs: [{name: sidecar, config: &c {x: *c}}], applications: *n}]",
		"merge cycle":      "a: &a\n  <<: *a\nnamespaces: [*a]",
		"deep":             strings.Repeat("[", 100_000),
		"deep config":      "namespaces: [{configs: [{name: sidecar, config: {x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}}]}]",
		"deep blocks":      deepBlocks(1000),
		"many keys":        strings.Repeat("k: v\n", 60_000),
		"many namespaces":  "namespaces:\n" + strings.Repeat("- {}\n", 60_000),
		"long scalar":      "namespaces: [{name: " + strings.Repeat("x", 1_000_000) + "}]",
		"deep template":    "templates: {t: '" + strings.Repeat("{{if .a}}", 7000) + "'}",
		"deep parentheses": "templates: {t: '{{" + strings.Repeat("(", 30_000) + "'}",
		"wide printf":      withTemplate(object+`{{ printf "%999999999d" 1 }}`, "{}"),
		"loops in loops":   withTemplate(object+strings.Repeat("{{ range 10000 }}", 20)+strings.Repeat("{{ end }}", 20), "{}"),
		"many costly uses": "templates: {t: '{{ range 4999 }}xxxxxxxxxxxxxxxxxxxx{{ end }}'}\nnamespaces: [{configs: [" + strings.Repeat("t,", 20_000) + "]}]",
		"many failures":    "templates: {t: '" + strings.Repeat("{{/**/}}", 200) + "{{ range 9999 }}{{ end }}'}\nnamespaces: [{configs: [" + strings.Repeat("t,", 20_000) + "]}]",
		"long output":      withTemplate(object+"{{ range 4999 }}"+strings.Repeat("x", 1000)+"{{ end }}", "{}"),
		"deep output":      withTemplate(object+"x: {{ range 4999 }}[{{ end }}", "{}"),
	}
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for name, yaml := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkResult(t, []byte(yaml))
		})
	}
}

// checkResult imports anything and checks what holds of any result.
func checkResult(t *testing.T, yaml []byte) {
	t.Helper()
	res := pilotload.Import(pilotload.Input{Name: "c.yaml", Source: yaml})
	if (res.CUE == nil) != (len(res.Errors) > 0) {
		t.Errorf("%d bytes of CUE and %d errors", len(res.CUE), len(res.Errors))
	}
	if len(res.Warnings) > 200 {
		t.Errorf("%d warnings", len(res.Warnings))
	}
	for _, d := range append(res.Errors, res.Warnings...) {
		if !d.Pos.IsValid() || d.Pos.Col < 1 || d.Message == "" || d.Code == "" || d.Code == "internal" || len(d.Message) > 2000 {
			t.Errorf("diagnostic %+v", d)
		}
	}
	if res.CUE == nil {
		return
	}
	again, err := format.Source(res.CUE)
	if err != nil {
		t.Fatalf("%v in\n%s", err, res.CUE)
	}
	if !bytes.Equal(again, res.CUE) {
		t.Errorf("not formatted: %s", cmp.Diff(string(res.CUE), string(again)))
	}
}

// FuzzImport: whatever the file, no panic, and a scenario that parses or a diagnostic. Scenarios without objects are
// valid too; objects are as good as the user's templates.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(withTemplate(object+"x: {{ if .Rand }}[1, {{ .RandNumber }}]{{ else }}'{{ .Name }}'{{ end }}", "{a: [1.5, ~, yes]}")))
	long := strings.Repeat("n", 63)
	f.Add([]byte("namespaces: [{name: default}, {name: " + long + ", replicas: 3, applications: [{name: a, replicas: 2}, {name: a-1}, {name: " +
		long + ", replicas: 2}, {name: x, labels: {ä: b, a b: c, ok: -}}]}]"))
	f.Fuzz(func(t *testing.T, yaml []byte) {
		if len(yaml) > 8<<10 {
			return // long files only make it slow
		}
		checkResult(t, yaml)
		res := pilotload.Import(pilotload.Input{Name: "c.yaml", Source: yaml})
		if res.CUE == nil || bytes.Contains(res.CUE, []byte(`"apply"`)) {
			return
		}
		_, ds := compile(t, res.CUE)
		if ds = slices.DeleteFunc(ds, ofTheConfig); len(ds) > 0 {
			t.Errorf("%v in\n%s", ds, res.CUE)
		}
	})
}

// ofTheConfig reports whether a diagnostic is about names and labels that no cluster takes, which pilot-load would meet there.
func ofTheConfig(d ir.Diagnostic) bool {
	return d.Code == ir.CodePlan && strings.HasSuffix(d.Path, "ame") || d.Code == ir.CodeValue && strings.Contains(d.Path, "abels")
}
