package main

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// matrixEntry is one job of a CI matrix. Its names are those that .github/workflows/scenarios.yml uses.
type matrixEntry struct {
	Name    string `json:"name"`
	File    string `json:"file"`
	Params  string `json:"params"` // flags of `run`, quoted for a shell
	Size    string `json:"size"`
	Minutes int    `json:"minutes"`
}

// onlySize is the size of a scenario that declares none.
var onlySize = ir.Size{Name: "default", Minutes: 15}

func (s *system) matrixCommand() *cli.Command {
	return &cli.Command{
		Name:      "matrix",
		Usage:     "list scenarios as the JSON of a CI matrix, each in its smallest size",
		ArgsUsage: "FILE|DIR...",
		Flags: []cli.Flag{&cli.StringFlag{Name: "size", Value: "smallest",
			Usage: "`SIZE` to list: smallest, all, or a name; scenarios without that size are left out"}},
		Action:       s.matrix,
		OnUsageError: usageError,
	}
}

func (s *system) matrix(c *cli.Context) error {
	files, err := scenarioFiles(c.Args().Slice())
	if err != nil {
		return err
	}
	entries := []matrixEntry{}
	var all ir.Diagnostics
	for _, file := range files {
		in, err := input(file)
		if err != nil {
			return err
		}
		scenario, ds := lang.Load(in, actions.All())
		if all = append(all, ds...); len(ds) > 0 {
			continue
		}
		for _, size := range sizes(scenario, c.String("size")) {
			entries = append(entries, matrixEntry{
				Name: scenario.Name, File: filepath.ToSlash(file), Params: paramFlags(size.Params), Size: size.Name, Minutes: size.Minutes,
			})
		}
	}
	if len(all) > 0 {
		if err := s.printDiagnostics(all); err != nil {
			return err
		}
		return exit(runtime.ExitUsage, nil)
	}
	if len(entries) == 0 {
		return usage("--size %s: no scenario has this size", c.String("size"))
	}
	enc := json.NewEncoder(s.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Include []matrixEntry `json:"include"`
	}{entries})
}

// sizes are those of the scenario that were asked for.
func sizes(scenario *ir.Scenario, want string) []ir.Size {
	declared := scenario.Sizes
	if len(declared) == 0 {
		declared = []ir.Size{onlySize}
	}
	switch want {
	case "smallest":
		return declared[:1]
	case "all":
		return declared
	}
	return slices.DeleteFunc(slices.Clone(declared), func(size ir.Size) bool { return size.Name != want })
}

var plainWord = regexp.MustCompile(`^[\w./:=@%+,-]+$`)

// paramFlags writes parameters as flags for a shell.
func paramFlags(params map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		word := name + "=" + params[name]
		if !plainWord.MatchString(word) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, "-t", word)
	}
	return strings.Join(words, " ")
}
