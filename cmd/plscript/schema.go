package main

import (
	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
)

func (s *system) schemaCommand() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the actions' part of the language as CUE, for editors",
		Action: func(*cli.Context) error {
			text, err := lang.Assemble(actions.All())
			if err != nil {
				return err
			}
			_, err = s.stdout.Write(text)
			return err
		},
		OnUsageError: usageError,
	}
}
