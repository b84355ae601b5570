package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/plscript/plscript/runtime"
)

// workflow is what the test reads of .github/workflows/scenarios.yml.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct {
			Run string `json:"run"`
		} `json:"steps"`
		Strategy struct {
			Matrix string `json:"matrix"`
		} `json:"strategy"`
	} `json:"jobs"`
}

// TestWorkflow follows .github/workflows/scenarios.yml: it lists the scenarios as the first job does, and plans in place
// of running what the second job would run for each entry.
func TestWorkflow(t *testing.T) {
	t.Chdir("../..")
	text, err := os.ReadFile(".github/workflows/scenarios.yml")
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	list := command(t, w, "list", "bin/plscript matrix ")
	list, _, _ = strings.Cut(list[strings.Index(list, "bin/plscript matrix "):], ")")
	list = strings.ReplaceAll(list, `"$SIZE"`, "smallest")
	var matrix struct {
		Include []map[string]any `json:"include"`
	}
	if err := json.Unmarshal([]byte(plscript(t, strings.Fields(list)...)), &matrix); err != nil {
		t.Fatal(err)
	}
	if len(matrix.Include) == 0 || w.Jobs["run"].Strategy.Matrix != "${{ fromJSON(needs.list.outputs.matrix) }}" {
		t.Fatalf("%d entries; the matrix is %q", len(matrix.Include), w.Jobs["run"].Strategy.Matrix)
	}
	run := command(t, w, "run", "bin/plscript run ")
	for _, entry := range matrix.Include {
		for _, use := range regexp.MustCompile(`matrix\.(\w+)`).FindAllStringSubmatch(string(text), -1) {
			if _, ok := entry[use[1]]; !ok {
				t.Errorf("the workflow uses %s, which `plscript matrix` does not print", use[0])
			}
		}
		line := regexp.MustCompile(`\$\{\{ matrix\.(\w+) \}\}`).ReplaceAllStringFunc(run, func(use string) string {
			value, _ := entry[strings.Fields(use)[1][len("matrix."):]].(string)
			return value
		})
		args := strings.Fields(line) // no parameter of a scenario in the repository needs quotes
		args[1] = "plan"
		plscript(t, args...)
	}
}

// command is the shell line of a job that contains text.
func command(t *testing.T, w workflow, job, text string) string {
	t.Helper()
	steps := w.Jobs[job].Steps
	for i := range steps {
		if strings.Contains(steps[i].Run, text) {
			return strings.TrimSpace(steps[i].Run)
		}
	}
	t.Fatalf("job %s has no step with %q", job, text)
	return ""
}

// plscript runs a command line in this process and returns its output.
func plscript(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	sys := &system{stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }}
	if code := sys.main(context.WithoutCancel(t.Context()), slices.Clone(args)); code != runtime.ExitPass {
		t.Fatalf("%s: exit code %d: %s", strings.Join(args, " "), code, &stderr)
	}
	return stdout.String()
}
