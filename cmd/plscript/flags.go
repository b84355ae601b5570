package main

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/plscript/plscript/lang/ir"
)

// interspersed moves the flags of a command in front of its arguments, as the parser of urfave/cli v2 stops at the first
// argument: flags work before and after FILE.
func interspersed(commands []*cli.Command, args []string) []string {
	out, rest := args[:min(1, len(args))], args[min(1, len(args)):]
	var cmd *cli.Command
	for len(rest) > 0 {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			break
		}
		cmd = commands[i]
		out, rest, commands = append(slices.Clone(out), rest[0]), rest[1:], cmd.Subcommands
	}
	if cmd == nil {
		return args
	}
	var flags, others []string
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		if a == "--" {
			others = append(others, rest[i+1:]...)
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			others = append(others, a)
			continue
		}
		flags = append(flags, a)
		if takesValue(cmd.Flags, a) && i+1 < len(rest) {
			i++
			flags = append(flags, rest[i])
		}
	}
	return slices.Concat(out, flags, []string{"--"}, others)
}

// takesValue reports whether the flag's value is the next argument.
func takesValue(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		_, isBool := f.(*cli.BoolFlag)
		return !isBool
	}
	return false
}

// unknownCommand says so, with the name that was probably meant.
func unknownCommand(c *cli.Context) error {
	name := c.Args().First()
	var names []string
	for _, cmd := range c.Command.Subcommands {
		names = append(names, cmd.Name)
	}
	for _, cmd := range c.App.Commands {
		names = append(names, cmd.Name)
	}
	if near := ir.Nearest(name, names); near != "" {
		return usage("unknown command %q (did you mean %q?)", name, near)
	}
	return usage("unknown command %q: `plscript --help` lists them", name)
}

// pairs parses k=v values of a repeated flag.
func pairs(flag string, values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range values {
		k, val, ok := strings.Cut(v, "=")
		if !ok || k == "" {
			return nil, usage("%s %s: want name=value", flag, v)
		}
		if _, twice := out[k]; twice {
			return nil, usage("%s %s: %q is given twice", flag, v, k)
		}
		out[k] = val
	}
	return out, nil
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// release is the version that the build states with -ldflags "-X main.release=...".
var release string

// version is the release, or the module's version as the Go toolchain stamped it.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return strings.Trim(info.Main.Version, "()")
}
