package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
)

func (s *system) runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run scenarios and give a verdict; on a private sandbox unless a target is named",
		ArgsUsage: "FILE...",
		Flags: append(append(loadFlags(), targetFlags()...),
			&cli.BoolFlag{Name: "help-params", Usage: "list the scenario's parameters, and run nothing"},
			&cli.StringFlag{Name: "out", Value: "results", Usage: "write reports into a folder of the run's own in `DIR`"},
			&cli.StringFlag{Name: "writer", Usage: "`WAY` of all writes: api, or store (straight into a sandbox's etcd); a sandbox's default is store for bulk loads and api for what is measured"},
			&cli.BoolFlag{Name: "keep", Usage: "leave the sandbox and the objects up"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, only the verdict"},
			&cli.StringFlag{Name: "log-level", Value: "warn", Usage: "`LEVEL` of logs: debug, info, warn or error"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT` of logs: text or json"},
		),
		Action:       s.run,
		OnUsageError: usageError,
	}
}

func (s *system) run(c *cli.Context) error {
	if !c.Args().Present() {
		return usage("run takes scenario files; `plscript run scenarios/ambient.cue` is a start")
	}
	if c.Bool("help-params") {
		return s.helpParams(c)
	}
	opt, err := s.runOptions(c)
	if err != nil {
		return err
	}
	// A mistake in the last file is found before the first one runs.
	scenarios, err := s.loadAll(c)
	if err != nil {
		return err
	}
	var codes []runtime.ExitCode
	for _, l := range scenarios {
		code, err := s.runOne(c.Context, l, opt)
		if err != nil {
			fmt.Fprintf(s.stderr, "plscript: %v\n", err)
		}
		codes = append(codes, code)
		if interrupted(c.Context) {
			break
		}
	}
	return exit(runtime.WorstExit(codes...), nil)
}

// loadAll loads every file named, or prints all that is wrong with them.
func (s *system) loadAll(c *cli.Context) ([]*loaded, error) {
	var out []*loaded
	bad := false
	for _, f := range c.Args().Slice() {
		l, ds, err := load(c, f)
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
