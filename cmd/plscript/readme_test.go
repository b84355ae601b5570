package main

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeShowsTheScenario keeps the scenario that the README explains the one that `make run` runs.
func TestReadmeShowsTheScenario(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../../scenarios/ambient.cue")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "```cue\n")
	shown, _, _ = strings.Cut(shown, "```")
	if shown != string(file) {
		t.Error("the scenario in README.md is not scenarios/ambient.cue")
	}
}
