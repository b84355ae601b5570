package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
)

func (s *system) runCommand() *cli.Command {
	return &cli.Command{
		Name:         "run",
		Usage:        "run scenarios and give a verdict; on a private sandbox unless a target is named",
		ArgsUsage:    "FILE...",
		Description:  "FILE is a scenario file, or builtin:NAME for one that `plscript show` lists.",
		Flags:        runFlags(),
		Action:       s.run,
		OnUsageError: usageError,
	}
}

// runFlags are those of every command that runs scenarios.
func runFlags() []cli.Flag {
	return slices.Concat(loadFlags(), targetFlags(), []cli.Flag{
		&cli.BoolFlag{Name: "help-params", Usage: "list the scenario's parameters, and run nothing"},
		&cli.StringFlag{Name: "out", Value: "results", Usage: "write reports into a folder of the run's own in `DIR`"},
		&cli.StringFlag{Name: "metrics-address", Usage: "serve the measures to Prometheus at `HOST:PORT`/metrics while the run lasts; nothing is served unless given"},
		&cli.StringFlag{Name: "writer", Usage: "`WAY` of all writes: api, or store (straight into a sandbox's etcd); a sandbox's default is store for bulk loads and api for what is measured"},
		&cli.BoolFlag{Name: "keep", Usage: "leave the sandbox and the objects up"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, only the verdict"},
		&cli.StringFlag{Name: "log-level", Value: "warn", Usage: "`LEVEL` of logs: debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT` of logs: text or json"},
	})
}

func (s *system) run(c *cli.Context) error {
	if !c.Args().Present() {
		return usage("run takes scenario files; `plscript run scenarios/ambient.cue` is a start")
	}
	if c.Bool("help-params") {
		return s.helpParams(c.Args().Slice()...)
	}
	opt, err := s.runOptions(c)
	if err != nil {
		return err
	}
	set, err := loadSettings(c)
	if err != nil {
		return err
	}
	return s.runFiles(c.Context, c.Args().Slice(), set, opt)
}

// runFiles runs scenarios one after another; its error holds the exit code of all of them.
func (s *system) runFiles(ctx context.Context, files []string, set settings, opt runOptions) error {
	// A mistake in the last file is found before the first one runs.
	scenarios, err := s.loadAll(ctx, files, set)
	if err != nil {
		return err
	}
	var codes []runtime.ExitCode
	for _, l := range scenarios {
		if interrupted(ctx) {
			codes = append(codes, runtime.ExitInterrupted) // an open-ended scenario ends well when it is interrupted; this one never began
			break
		}
		code, err := s.runOne(ctx, l, opt)
		if err != nil {
			fmt.Fprintf(s.stderr, "plscript: %v\n", err)
		}
		codes = append(codes, code)
	}
	return exit(runtime.WorstExit(codes...), nil)
}

// loadAll loads every file named, or prints all that is wrong with them.
func (s *system) loadAll(ctx context.Context, files []string, set settings) ([]*loaded, error) {
	var out []*loaded
	bad := false
	for _, f := range files {
		l, ds, err := loadWith(ctx, f, set)
		if err != nil {
			return nil, err
		}
		if len(ds) > 0 {
			bad = true
			if err := s.printDiagnostics(ds); err != nil {
				return nil, err
			}
		}
		out = append(out, l)
	}
	if bad {
		return nil, exit(runtime.ExitUsage, nil)
	}
	return out, nil
}
