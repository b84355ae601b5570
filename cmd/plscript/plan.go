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
			&cli.StringFlag{Name: "auth", Aliases: []string{"a"}, Usage: "plan a run with this `MODE` of authentication: with jwt and mtls, proxies ask for certificates; as --pilot-address has it unless given"},
			&cli.StringSliceFlag{Name: "pilot-address", Aliases: []string{"p"}, Usage: "plan a run with istiod's XDS at `HOST:PORT`, whose port says how proxies authenticate; in plaintext unless given"},
			&cli.BoolFlag{Name: "rbac", Usage: "print the ClusterRole that a run needs on a cluster"}),
		Action:       s.plan,
		OnUsageError: usageError,
	}
}

// planSettings are those of a run with the same flags.
func planSettings(c *cli.Context) (settings, error) {
	set, err := loadSettings(c)
	if err != nil {
		return set, err
	}
	addresses, err := readAddresses("--pilot-address", c.StringSlice("pilot-address"))
	if err != nil {
		return set, err
	}
	mode, err := checkAuthOf(c.String("auth"), addresses)
	set.certify = certifies(mode)
	return set, err
}

func (s *system) plan(c *cli.Context) error {
	s.boundHeap()
	if c.NArg() != 1 {
		return usage("plan takes one scenario file")
	}
	set, err := planSettings(c)
	if err != nil {
		return err
	}
	l, ds, err := loadWith(c.Context, c.Args().First(), set)
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
