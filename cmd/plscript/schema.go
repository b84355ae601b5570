package main

import (
	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
)

//go:generate go run . schema --out ../../schema/actions_gen.cue
//go:generate go run . docs --all --out ../../docs/reference.md

func (s *system) schemaCommand() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the actions' part of the language as CUE, for editors",
		Flags: []cli.Flag{&cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of stdout"}},
		Action: func(c *cli.Context) error {
			text, err := lang.Assemble(actions.All())
			if err != nil {
				return err
			}
			return s.output(c.String("out"), text)
		},
		OnUsageError: usageError,
	}
}
