package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

func (s *system) validateCommand() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check scenario files, offline; all mistakes at once",
		ArgsUsage: "FILE|DIR...",
		Flags: append(loadFlags(),
			&cli.StringFlag{Name: "o", Value: "text", Usage: "`FORMAT` of diagnostics: text or json"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing about valid files"}),
		Action:       s.validate,
		OnUsageError: usageError,
	}
}

func (s *system) validate(c *cli.Context) error {
	format := c.String("o")
	if format != "text" && format != "json" {
		return usage("-o %s: want text or json", format)
	}
	files, err := scenarioFiles(c.Args().Slice())
	if err != nil {
		return err
	}
	var all ir.Diagnostics
	for _, f := range files {
		_, ds, err := load(c, f)
		if err != nil {
			return err
		}
		all = append(all, ds...)
		if len(ds) == 0 && format == "text" && !c.Bool("quiet") {
			fmt.Fprintf(s.stdout, "%s: valid\n", f)
		}
	}
	if format == "json" {
		err = all.WriteJSON(s.stdout)
	} else {
		err = s.printDiagnostics(all)
	}
	if err != nil {
		return err
	}
	if len(all) > 0 {
		return exit(runtime.ExitUsage, nil)
	}
	return nil
}

// scenarioFiles are the files among args and the scenarios in the folders among them.
func scenarioFiles(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, usage("name a scenario file or a folder")
	}
	var files []string
	for _, a := range args {
		info, err := os.Stat(a)
		if err != nil || !info.IsDir() {
			files = append(files, a) // load says what is wrong with it
			continue
		}
		found, err := lang.Scenarios(os.DirFS(a), ".")
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, usage("%s: no scenario in this folder (a scenario is a .cue file with phases)", a)
		}
		for _, f := range found {
			files = append(files, filepath.Join(a, filepath.FromSlash(f)))
		}
	}
	return files, nil
}
