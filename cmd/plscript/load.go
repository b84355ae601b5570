package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// loadFlags are those of every command that reads scenario files.
func loadFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "t", Usage: "set a parameter: `NAME=VALUE`; repeatable"},
		&cli.Int64Flag{Name: "seed", Usage: "use this `SEED` instead of the scenario's"},
	}
}

// loaded is one scenario, ready to run.
type loaded struct {
	scenario *ir.Scenario
	graph    *runtime.Graph
	plan     *runtime.Plan
}

// settings are what the command line sets in the scenarios that it loads.
type settings struct {
	params map[string]string
	seed   *int64 // nil leaves each scenario its own
	// certify has the plan count the certificates that proxies ask for which do not speak plaintext.
	certify bool
}

// loadSettings reads the flags of [loadFlags].
func loadSettings(c *cli.Context) (settings, error) {
	var set settings
	if c.IsSet("seed") {
		seed := c.Int64("seed")
		set.seed = &seed
	}
	var err error
	set.params, err = pairs("-t", c.StringSlice("t"))
	return set, err
}

// load reads, checks, compiles and plans a scenario file as the flags say. All its mistakes come back together.
func load(c *cli.Context, file string) (*loaded, ir.Diagnostics, error) {
	set, err := loadSettings(c)
	if err != nil {
		return nil, nil, err
	}
	return loadWith(c.Context, file, set)
}

func loadWith(ctx context.Context, file string, set settings) (*loaded, ir.Diagnostics, error) {
	in, err := input(file)
	if err != nil {
		return nil, nil, err
	}
	in.Params = set.params
	s, ds := lang.Load(in, actions.All())
	if s == nil {
		return nil, ds, nil
	}
	if set.seed != nil {
		s.Seed = *set.seed
	}
	g, more := runtime.Compile(ctx, s, &inputs{stdin: os.Stdin})
	if ds = ds.Merge(more); len(ds) > 0 {
		return nil, ds, nil
	}
	g.Certify = set.certify
	plan, ds := g.Plan(ctx)
	return &loaded{s, g, plan}, ds, nil
}

// input opens a scenario: a built-in one, or a file within its CUE module, or its folder where it is in none.
func input(file string) (lang.Input, error) {
	if strings.HasPrefix(file, builtinPrefix) {
		return builtinInput(file)
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return lang.Input{}, err
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lang.Input{}, usage("%s: no such file", file)
	case err != nil:
		return lang.Input{}, usage("%v", err)
	case info.IsDir():
		return lang.Input{}, usage("%s: is a folder; name a scenario file in it", file)
	case !info.Mode().IsRegular():
		return lang.Input{}, usage("%s: not a regular file", file)
	}
	root := moduleRoot(filepath.Dir(abs))
	rel, err := filepath.Rel(root, abs)
	if err != nil {
		return lang.Input{}, err
	}
	return lang.Input{FS: os.DirFS(root), Path: filepath.ToSlash(rel), Name: file, Watch: watch()}, nil
}

// moduleRoot is the nearest folder from dir upwards that holds a cue.mod, or dir itself.
func moduleRoot(dir string) string {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "cue.mod", "module.cue")); err == nil {
			return d
		}
		if d == filepath.Dir(d) {
			return dir
		}
	}
}

// printDiagnostics writes them to stderr: one a line, with the offending lines on a terminal.
func (s *system) printDiagnostics(ds ir.Diagnostics) error {
	if s.errTTY {
		return ds.WriteSource(s.stderr, sourceText)
	}
	return ds.WriteText(s.stderr)
}

// interrupted reports whether a signal ended ctx.
func interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), runtime.ErrInterrupted)
}

// watch bounds the time and memory that a hostile file can cost.
func watch() lang.Watch { return lang.Watch{Ticks: time.NewTicker(20 * time.Millisecond).C} }
