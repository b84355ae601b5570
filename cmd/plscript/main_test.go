package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"plscript": main})
}

// TestScripts runs the command line as a user would, without a target. UPDATE=1 rewrites the expected output.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: os.Getenv("UPDATE") != "", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

// TestEveryCommandKnowsItsFlags: a flag that a command does not have is bad usage, and no error of plscript's own.
func TestEveryCommandKnowsItsFlags(t *testing.T) {
	t.Parallel()
	var try func(commands []*cli.Command, path ...string)
	try = func(commands []*cli.Command, path ...string) {
		for _, c := range commands {
			args := append(slices.Clone(path), c.Name)
			app := (&system{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}).app()
			err := app.RunContext(t.Context(), append(slices.Clone(args), "--no-such-flag"))
			if coded := (*exitError)(nil); !errors.As(err, &coded) || coded.code != runtime.ExitUsage {
				t.Errorf("%q: %v", args, err)
			}
			try(c.Subcommands, args...)
		}
	}
	try((&system{}).app().Commands, "plscript")
}
