package main

import (
	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/report"
)

func (s *system) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "show what a scenario would do, without touching anything",
		ArgsUsage: "FILE",
		Flags: append(loadFlags(), &cli.StringFlag{Name: "o", Value: "text", Usage: "`FORMAT`: text, json or mermaid"},
			&cli.BoolFlag{Name: "rbac", Usage: "print the ClusterRole that a run needs on a cluster"}),
		Action:       s.plan,
		OnUsageError: usageError,
	}
}

func (s *system) plan(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("plan takes one scenario file")
	}
	l, ds, err := load(c, c.Args().First())
	if err != nil {
		return err
	}
	if len(ds) > 0 {
		if err := s.printDiagnostics(ds); err != nil {
			return err
		}
		return exit(runtime.ExitUsage, nil)
	}
	if c.Bool("rbac") {
		return report.WriteClusterRole(s.stdout, l.plan)
	}
	switch f := c.String("o"); f {
	case "text":
		return report.WritePlanText(s.stdout, l.plan)
	case "json":
		return report.WritePlanJSON(s.stdout, l.plan)
	case "mermaid":
		return report.WritePlanMermaid(s.stdout, l.plan)
	default:
		return usage("-o %s: want text, json or mermaid", f)
	}
}
