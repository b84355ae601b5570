package main

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/cmd/plscript/builtin"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// builtinPrefix marks the name of a built-in scenario where a file is expected.
const builtinPrefix = "builtin:"

// builtinText is a built-in scenario's file.
func builtinText(name string) ([]byte, error) {
	text, err := fs.ReadFile(builtin.FS, name+".cue")
	if err != nil || !slices.Contains(builtin.Names(), name) {
		hint := ""
		if near := ir.Nearest(name, builtin.Names()); near != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		}
		return nil, usage("there is no built-in scenario %q%s; there are %s", name, hint, strings.Join(builtin.Names(), ", "))
	}
	return text, nil
}

// builtinInput is a built-in scenario as the loader reads it.
func builtinInput(file string) (lang.Input, error) {
	name := strings.TrimPrefix(file, builtinPrefix)
	if _, err := builtinText(name); err != nil {
		return lang.Input{}, err
	}
	return lang.Input{FS: builtin.FS, Path: name + ".cue", Name: file, Watch: watch()}, nil
}

// sourceText is what stands in a file that a diagnostic names.
func sourceText(name string) ([]byte, error) {
	if built, ok := strings.CutPrefix(name, builtinPrefix); ok {
		return builtinText(built)
	}
	return os.ReadFile(name)
}

// shortForm is a command on top of a built-in scenario of its name: flags set the scenario's parameters, and the rest is
// `plscript run`.
type shortForm struct {
	name, usage, description string
	params                   []cli.Flag // each sets the parameter of its name in camelCase: --pod-spec sets podSpec
	flags                    []cli.Flag // its own, besides those of run
	// prepare sees the flags and the options of the run before the scenario is loaded, and may refuse; nil does nothing.
	prepare func(c *cli.Context, opt *runOptions, params map[string]string) error
}

// shortCommand makes the command of a short form.
func (s *system) shortCommand(f shortForm) *cli.Command {
	return &cli.Command{
		Name: f.name, Usage: f.usage,
		Description:  strings.TrimSpace(f.description + "\nIt runs the built-in scenario that `plscript show " + f.name + "` prints."),
		Flags:        slices.Concat(f.params, f.flags, runFlags()),
		Action:       func(c *cli.Context) error { return s.runShort(c, f) },
		OnUsageError: usageError,
	}
}

// runShort runs the scenario of a short form.
func (s *system) runShort(c *cli.Context, f shortForm) error {
	if c.Args().Present() {
		return usage("%s takes no arguments, only flags; got %q", f.name, c.Args().First())
	}
	file := builtinPrefix + f.name
	if c.Bool("help-params") {
		return s.helpParams(file)
	}
	opt, err := s.runOptions(c)
	if err != nil {
		return err
	}
	set, err := loadSettings(c)
	if err != nil {
		return err
	}
	for k, v := range f.values(c) {
		if _, twice := set.params[k]; twice {
			return usage("-t %s=%s: a flag sets %s as well", k, set.params[k], k)
		}
		set.params[k] = v
	}
	if f.prepare != nil {
		if err := f.prepare(c, &opt, set.params); err != nil {
			return err
		}
	}
	return s.runFiles(c.Context, []string{file}, set, opt)
}

// values are the parameters that the command line sets.
func (f shortForm) values(c *cli.Context) map[string]string {
	out := map[string]string{}
	for _, flag := range f.params {
		if name := flag.Names()[0]; c.IsSet(name) {
			out[camelCase(name)] = fmt.Sprint(c.Value(name))
		}
	}
	return out
}

// camelCase is a flag's name as a parameter is called: "delayThreshold" for "delay-threshold".
func camelCase(flag string) string {
	words := strings.Split(flag, "-")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// needsTarget refuses to run without a named target: what works on pods that live must be told where.
func needsTarget(command string) func(*cli.Context, *runOptions, map[string]string) error {
	return func(_ *cli.Context, opt *runOptions, _ map[string]string) error {
		if opt.target.sandbox == "" && !opt.target.cluster() {
			return exit(runtime.ExitTarget, fmt.Errorf("%s needs a target: name one with --sandbox NAME, --kubeconfig FILE or --context CONTEXT", command))
		}
		return nil
	}
}
