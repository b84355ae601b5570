package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/lang/pilotload"
)

const migrationGuide = "../../docs/from-pilot-load.md"

// TestMigrationCommands asks each command that the guide names for its help, and demands that it has the flags that the
// guide shows.
func TestMigrationCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(migrationGuide)
	if err != nil {
		t.Fatal(err)
	}
	s := &system{stderr: io.Discard, getenv: func(string) string { return "" }}
	seen := map[string]bool{}
	for _, span := range regexp.MustCompile("`(plscript [^`]+)`").FindAllStringSubmatch(string(text), -1) {
		words := strings.Fields(span[1])
		cmd, path := findCommand(s.app().Commands, words[1:])
		if cmd == nil {
			t.Errorf("%s: there is no such command", span[1])
			continue
		}
		seen[path[0]] = true
		for _, w := range words {
			name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
			if strings.HasPrefix(w, "-") && w != "-" && !hasFlag(cmd, name) {
				t.Errorf("%s: %s has no flag %s", span[1], cmd.Name, w)
			}
		}
		var out bytes.Buffer
		s.stdout = &out
		if code := s.main(t.Context(), slices.Concat([]string{"plscript"}, path, []string{"--help"})); code != 0 || !strings.Contains(out.String(), "USAGE") {
			t.Errorf("%s: --help exits %d\n%s", span[1], code, &out)
		}
	}
	for _, want := range []string{"adsc", "impersonate", "prober", "capture", "reproduce", "startup", "dump", "import", "run", "clean", "sandbox"} {
		if !seen[want] {
			t.Errorf("the guide does not show %s", want)
		}
	}
}

// findCommand follows the words to the command that they name, and returns how it is called.
func findCommand(commands []*cli.Command, words []string) (cmd *cli.Command, path []string) {
	for _, w := range words {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(w) })
		if i < 0 {
			break
		}
		cmd, path, commands = commands[i], append(path, w), commands[i].Subcommands
	}
	return cmd, path
}

func hasFlag(cmd *cli.Command, name string) bool {
	return slices.ContainsFunc(cmd.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

// TestMigrationKeys imports the configuration in the guide, without a warning, and plans the scenario; and demands that
// the guide explains each of its keys.
func TestMigrationKeys(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(migrationGuide)
	if err != nil {
		t.Fatal(err)
	}
	_, source, _ := strings.Cut(string(text), "```yaml\n")
	source, after, ok := strings.Cut(source, "```")
	if !ok {
		t.Fatal("the guide shows no configuration")
	}
	res := pilotload.Import(pilotload.Input{Name: "guide.yaml", Source: []byte(source)})
	if ds := append(res.Errors, res.Warnings...); len(ds) > 0 {
		t.Fatal(ds)
	}
	if err := plannable(t, string(res.CUE)); err != nil {
		t.Errorf("%v\n%s", err, res.CUE)
	}
	for _, key := range regexp.MustCompile(`(?m)(?:^|[ {,])(gracePeriod|workloads|config|stableNames|nodeMetadata|templates|nodes|namespaces|waypoint|configs|type|replicas|pods|labels|count|ztunnel|refresh)\b`).FindAllStringSubmatch(source, -1) {
		if !strings.Contains(after, key[1]) {
			t.Errorf("the guide does not explain the key %s", key[1])
		}
	}
}
