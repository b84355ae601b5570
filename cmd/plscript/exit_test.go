package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/plscript/plscript/runtime"
)

// TestExitCodes: a mistake in the command line is 2, and a target that is not there or not named is 3.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]runtime.ExitCode{
		"compare":                               runtime.ExitUsage,
		"compare " + dir + " " + dir:            runtime.ExitUsage,
		"compare --fail-above x a b":            runtime.ExitUsage,
		"dump --pod a":                          runtime.ExitUsage,
		"dump --pod a --out " + dir + "/o":      runtime.ExitTarget,
		"dump --pod a --colour --out o":         runtime.ExitUsage,
		"startup":                               runtime.ExitTarget,
		"startup -n default --concurrency 2":    runtime.ExitTarget,
		"startup --sandbox x extra":             runtime.ExitUsage,
		"startup --sandbox x --spec no.yaml":    runtime.ExitUsage,
		"run x.cue --metrics-address 9464":      runtime.ExitUsage,
		"dump --pod a --out o --sandbox nobody": runtime.ExitTarget,
		"gateway":                               runtime.ExitUsage,
		"gateway --istiod x:1":                  runtime.ExitUsage,
		"gateway --node a --istiod x":           runtime.ExitUsage,
		"gateway --node a --istiod x:1":         runtime.ExitUsage,
		"gateway --node a --istiod x:1 extra":   runtime.ExitUsage,
		"gateway --node":                        runtime.ExitUsage,
	} {
		var out bytes.Buffer
		sys := &system{stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
		if code := sys.main(context.WithoutCancel(t.Context()), append([]string{"plscript"}, strings.Fields(line)...)); code != want {
			t.Errorf("%s: exit %d, want %d: %s", line, code, want, &out)
		}
	}
}
