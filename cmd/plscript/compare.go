package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/report"
)

func (s *system) compareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "compare a run with an earlier one: thresholds, and measures with their ratio",
		ArgsUsage: "BASE NEW",
		Description: "BASE and NEW are folders of runs, or their report.json. The exit code is 5 if a threshold does not hold any more or,\n" +
			"with --fail-above, if a measure of which less is better (a duration, a cost, failures) has risen by more or has no\n" +
			"data any more. It is 6 if one of the runs is invalid or did not end, and 2 if a report cannot be read. Differences\n" +
			"of less than 1 ms, 0.1 s of CPU or 1 MB of memory count as none.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "fail-above", Usage: "how much worse a measure may get: `PERCENT`, like 10%"},
			&cli.StringSliceFlag{Name: "only", Usage: "compare the measures that match `PATTERN`, like 'changes.*'; repeatable"},
			&cli.BoolFlag{Name: "all", Usage: "show measures that are as before, too"},
			&cli.StringFlag{Name: "o", Value: "text", Usage: "`FORMAT`: text or json"},
		},
		Action:       s.compare,
		OnUsageError: usageError,
	}
}

func (s *system) compare(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("compare takes two reports: BASE and NEW")
	}
	opt, err := compareOptions(c)
	if err != nil {
		return err
	}
	base, err := readReport(c.Args().Get(0))
	if err != nil {
		return err
	}
	next, err := readReport(c.Args().Get(1))
	if err != nil {
		return err
	}
	cmp := report.Compare(base, next, opt)
	switch f := c.String("o"); f {
	case "text":
		err = cmp.WriteText(s.stdout, report.TextOptions{Width: terminalWidth(), Color: s.color(s.outTTY)}, c.Bool("all"))
	case "json":
		err = cmp.WriteJSON(s.stdout)
	default:
		return usage("-o %s: want text or json", f)
	}
	if err != nil {
		return err
	}
	return exit(cmp.Exit(), nil)
}

func compareOptions(c *cli.Context) (report.CompareOptions, error) {
	opt := report.CompareOptions{FailAbove: -1, Only: c.StringSlice("only")}
	for _, p := range opt.Only {
		if !report.Selects(p) {
			return opt, usage("--only %q: want a pattern of measures, like 'changes.*'", p)
		}
	}
	if text := c.String("fail-above"); c.IsSet("fail-above") {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err != nil || !(percent >= 0 && percent <= 1e6) {
			return opt, usage("--fail-above %q: want a percentage, like 10%%", text)
		}
		opt.FailAbove = percent / 100
	}
	return opt, nil
}

// readReport reads a report.json, or that of a run's folder.
func readReport(name string) (*report.Report, error) {
	file := name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		file = filepath.Join(name, report.FileJSON)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("%v", err)
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		return nil, exit(runtime.ExitUsage, fmt.Errorf("%s: %w", file, err))
	}
	return r, nil
}
