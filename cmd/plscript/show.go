package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/cmd/plscript/builtin"
	"github.com/plscript/plscript/lang"
)

func (s *system) showCommand() *cli.Command {
	return &cli.Command{
		Name:         "show",
		Usage:        "print a built-in scenario, or list them all",
		ArgsUsage:    "[NAME]",
		Description:  "A built-in scenario is run by `plscript run builtin:NAME`, or by the command of its name. Printed into a file,\nit is a start for one of your own.",
		Action:       s.show,
		OnUsageError: usageError,
	}
}

func (s *system) show(c *cli.Context) error {
	switch c.NArg() {
	case 0:
		return s.listBuiltins()
	case 1:
		text, err := builtinText(strings.TrimPrefix(c.Args().First(), builtinPrefix))
		if err != nil {
			return err
		}
		_, err = s.stdout.Write(text)
		return err
	}
	return usage("show takes one NAME")
}

// listBuiltins prints the name and the description of each.
func (s *system) listBuiltins() error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, name := range builtin.Names() {
		in, err := builtinInput(builtinPrefix + name)
		if err != nil {
			return err
		}
		about := ""
		// One that cannot be run without a parameter is listed all the same.
		if sc, _ := lang.Load(in, actions.All()); sc != nil {
			about = sc.Description
		}
		fmt.Fprintf(w, "%s\t%s\n", name, about)
	}
	return w.Flush()
}
