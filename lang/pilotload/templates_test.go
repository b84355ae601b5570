package pilotload_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withTemplate is a configuration whose one app uses a template, at line 2, as config says.
func withTemplate(template, config string) string {
	return "templates:\n  t: |\n    " + strings.ReplaceAll(strings.TrimRight(template, "\n"), "\n", "\n    ") +
		"\nnamespaces: [{applications: [{pods: 1, configs: [{name: t, config: " + config + "}]}]}]\n"
}

// spaces are those by which fields are aligned.
var spaces = regexp.MustCompile(` +`)

const object = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: \"{{ .Name }}\"}\n"

// TestTemplates: what the Go templates of users come to.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template, config string
		has              []string
		warning          string // after "c.yaml:"
	}{
		"fields":                 {template: object + "data: {a: \"{{ .x }}-{{ .Namespace }}\", b: '{{ .RandNumber }}'}", config: "{x: 7}", has: []string{`data: {a: "7-${ns.name}", b: "${string(rand(10000) + 1)}"}`, `metadata: name: "${app.name}"`}},
		"a name of its own":      {template: object, config: "{Name: fixed, Namespace: other}", has: []string{`metadata: {name: "fixed", namespace: "other"}`}},
		"its own namespace":      {template: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: overwritten}", config: "{}", has: []string{`metadata: name: "a"`}},
		"a choice of numbers":    {template: object + "x: {{ if .Rand }}1{{ else }}2{{ end }}", config: "{}", has: []string{`x: "${generation % 2 == 0 ? 2 : 1}"`}},
		"a choice turned over":   {template: object + "x: {{ if .Rand }}1{{ else }}2{{ end }}", config: "{Rand: false}", has: []string{`x: "${generation % 2 == 0 ? 1 : 2}"`}},
		"a choice of types":      {template: object + "x: {{ if .Rand }}1{{ else }}{a: [b, 2.5, {{ .Name }}-x]}{{ end }}", config: "{}", has: []string{`x: "${generation % 2 == 0 ? dyn({'a': dyn(['b', dyn(2.5), app.name + '-x'])}) : dyn(1)}"`}},
		"a choice of texts":      {template: object + "data: {x: \"{{ if .Rand }}it's {{ .Name }}{{ else }}{{ .RandNumber }}{{ end }}\"}", config: "{}", has: []string{`x: "${generation % 2 == 0 ? string(rand(10000) + 1) : 'it\\'s ' + app.name}"`}},
		"a choice of keys":       {template: object + "data:\n  a: b\n  {{- if .Rand }}\n  c: d\n  {{- end }}", config: "{}", has: []string{`data: "${generation % 2 == 0 ? dyn({'a': 'b'}) : dyn({'a': 'b', 'c': 'd'})}"`}},
		"loops":                  {template: object + "data: {x: \"{{ range $i, $e := .l }}{{ if $i }},{{ end }}{{ $e }}{{ end }}\"}", config: "{l: [a, b, 3]}", has: []string{`data: x: "a,b,3"`}},
		"functions":              {template: object + "data: {x: {{ .l | join \"-\" | upper | quote }}, y: {{ .no | default .Name | quote }}, z: '{{ printf \"%s/%v\" .Name (index .l 0) }}', e: {{ if eq (len .l) 2 }}'t'{{ end }}}", config: "{l: [a, b]}", has: []string{`data: {x: "A-B", y: "${app.name}", z: "${app.name}/a", e: "t"}`}},
		"several objects":        {template: object + "---\n" + strings.ReplaceAll(object, "Thing", "Other"), config: "{}", has: []string{`"Thing"`, `"Other"`}},
		"dollars":                {template: object + "data: {x: '${a}', y: '$${b}', z: '{{ .v }}'}", config: "{v: '${c}'}", has: []string{`data: {x: "$${a}", y: "$$${b}", z: "$${c}"}`}},
		"quotes and backslashes": {template: object + `data: {x: '"\(a)'}`, config: "{}", has: []string{`data: x: "\"\\(a)"`}},
		"refresh by comment":     {template: "#refresh=true\n" + object, config: "{}", has: []string{`action: "churnConfig"`}},
		"no refresh by comment":  {template: "#refresh=true\n#refresh=false\n" + object, config: "{}", has: []string{"there is nothing to refresh"}, warning: "1:18: jitter.config: there is nothing to refresh: no app has a config that changes"},

		"two random numbers":       {template: object + "data: {x: 'a{{ .RandNumber }}', y: 'b{{ .RandNumber }}'}", config: "{}", has: []string{`x: "a${rand(10000) + 1}"`}, warning: `7:50: namespaces[0].applications[0].configs[0]: the template "t" uses .RandNumber more than once: here each use is another number`},
		"an unknown function":      {template: object + "data: {x: '{{ .Name | sha256sum }}'}", config: "{}", warning: `6:1: templates.t: the template "t" is not translated: the function "sha256sum" is not understood`},
		"a syntax error":           {template: object + "{{ if }}", config: "{}", warning: `6:1: templates.t: the template "t" is not translated: missing value for if`},
		"a look into a name":       {template: object + "data: {x: '{{ upper (print .Name) }}'}", config: "{}", warning: `6:1: namespaces[0].applications[0].configs[0]: the template "t" is not translated: <upper (print .Name)>: error calling upper: this depends on what is known only when the scenario runs`},
		"a comparison of a number": {template: object + "{{ if eq .RandNumber 7 }}x: 1{{ end }}", config: "{}", warning: `6:1: namespaces[0].applications[0].configs[0]: the template "t" is not translated: <eq .RandNumber 7>: error calling eq: this depends on what is known only when the scenario runs`},
		"a formatted name":         {template: object + "data: {x: '{{ printf \"%5s\" .Name }}'}", config: "{}", warning: `6:1: namespaces[0].applications[0].configs[0]: the template "t" is not translated: <printf "%5s" .Name>: error calling printf: this depends on what is known only when the scenario runs`},
		"another template":         {template: object + "{{ template \"x\" }}", config: "{}", warning: `6:1: templates.t: the template "t" is not translated: {{template}} is not understood`},
		"definitions":              {template: object + "{{ define \"x\" }}{{ end }}", config: "{}", warning: `2:6: templates.t: the template "t" is not translated: {{define}} and {{block}} are not understood`},
		"a missing field":          {template: object + "data: {x: '{{ .y }}'}", config: "{}", warning: `7:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: it uses a field that neither the config nor pilot-load sets, so that it makes "<no value>"`},
		"endless loops":            {template: object + "{{ range 1000000000 }}{{ end }}", config: "{}", warning: `6:1: namespaces[0].applications[0].configs[0]: the template "t" is not translated: its loops run more than 5000 times`},
		"a name by chance":         {template: "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: 'a{{ .RandNumber }}'}", config: "{}", warning: `6:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: the object's name depends on .RandNumber: each refresh would make another object`},
		"no object":                {template: "- a", config: "{}", warning: `4:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: what it makes is no object`},
		"no kind":                  {template: "apiVersion: v1", config: "{}", warning: `4:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: the object's kind is not plain text`},
		"no name":                  {template: "apiVersion: v1\nkind: X", config: "{}", warning: `5:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: the object has no name, or one that depends on .Rand`},
		"an object by chance":      {template: "{{ if .Rand }}" + object + "{{ end }}", config: "{}", warning: `7:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: how many objects it makes depends on .Rand`},
		"no YAML":                  {template: "a: b: c", config: "{}", warning: `4:50: namespaces[0].applications[0].configs[0]: the template "t" is not translated: what it makes is not YAML: yaml: mapping values are not allowed in this context`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := withTemplate(c.template, c.config)
			if strings.Contains(name, "refresh") {
				yaml = "jitter: {config: 1s}\n" + yaml
			}
			cue, warnings := run(t, yaml)
			cue = spaces.ReplaceAllString(cue, " ")
			for _, s := range c.has {
				if !strings.Contains(cue, s) {
					t.Errorf("lacks %s in\n%s", s, cue)
				}
			}
			var want []string
			if c.warning != "" {
				want = append(want, "c.yaml:"+c.warning)
			}
			if d := cmp.Diff(want, warnings); d != "" {
				t.Errorf("warnings: %s", d)
			}
			if strings.Contains(c.warning, "is not translated") && !strings.Contains(cue, `// Not translated: the template "t"`) {
				t.Errorf("the scenario does not say what is missing:\n%s", cue)
			}
		})
	}
}

// TestBuiltinTemplates: each of pilot-load's makes a valid object, with what it is given and without.
func TestBuiltinTemplates(t *testing.T) {
	t.Parallel()
	for use, want := range map[string]string{
		`{name: httproute, config: {gateways: [infra/main, infra/other]}}`: `parentRefs: [{name: "main", namespace: "infra"}, {name: "other", namespace: "infra"}]`,
		`httproute`:     `parentRefs: []`,
		`istio-gateway`: `metadata: name: "${app.name}"`,
		`{name: istio-gateway, config: {NameOverride: main}}`: `metadata: name: "main"`,
		`sidecar`:    `spec: egress: [{hosts: ["./*"]}]`,
		`tls-secret`: `type: "kubernetes.io/tls"`,
		`{name: virtualservice, config: {gateways: [a, b/c]}}`: `gateways: ["a", "b/c"]`,
		`virtualservice`: `port: number: "${generation % 2 == 0 ? 443 : 80}"`,
	} {
		cue, warnings := run(t, fmt.Sprintf("namespaces: [{applications: [{pods: 1, configs: [%s]}]}]", use))
		if !strings.Contains(cue, want) || len(warnings) > 0 {
			t.Errorf("%s: %v, want %s in\n%s", use, warnings, want, cue)
		}
	}
}

// TestOwnTemplatesComeFirst: a template that is called as a built-in one takes its place.
func TestOwnTemplatesComeFirst(t *testing.T) {
	t.Parallel()
	cue, _ := run(t, "templates: {sidecar: '{apiVersion: v1, kind: ConfigMap, metadata: {name: mine}}'}\nnamespaces: [{configs: [sidecar]}]")
	if !strings.Contains(cue, `name: "mine"`) || strings.Contains(cue, "egress") {
		t.Error(cue)
	}
}
