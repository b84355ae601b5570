package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
)

// helpParams lists the parameters of the scenarios named, for `run --help-params`.
func (s *system) helpParams(files ...string) error {
	for i, file := range files {
		in, err := input(file)
		if err != nil {
			return err
		}
		params, ds := lang.Params(in)
		if len(ds) > 0 {
			if err := s.printDiagnostics(ds); err != nil {
				return err
			}
			return exit(runtime.ExitUsage, nil)
		}
		if i > 0 {
			fmt.Fprintln(s.stdout)
		}
		if len(params) == 0 {
			fmt.Fprintf(s.stdout, "%s has no parameters\n", file)
			continue
		}
		fmt.Fprintf(s.stdout, "parameters of %s, set with -t NAME=VALUE:\n", file)
		w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
		for _, p := range params {
			value := "required"
			if p.Default != "" {
				value = "default " + p.Default
			}
			fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %s\t%s\t%s\t%s", p.Name, p.Type, value, strings.Join(strings.Fields(p.Doc), " ")), "\t "))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
