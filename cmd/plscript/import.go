package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/lang/pilotload"
	"github.com/plscript/plscript/runtime"
)

func (s *system) importCommand() *cli.Command {
	return &cli.Command{
		Name:         "import",
		Usage:        "turn another tool's configuration into a scenario",
		OnUsageError: usageError,
		Subcommands: []*cli.Command{{
			Name:         "pilot-load",
			Usage:        "turn a configuration of `pilot-load cluster` into a scenario; warnings say what is lost",
			ArgsUsage:    "FILE, or - for the standard input",
			Flags:        []cli.Flag{&cli.StringFlag{Name: "o", Usage: "write to this new `FILE` instead of the standard output"}},
			Action:       s.importPilotLoad,
			OnUsageError: usageError,
		}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func (s *system) importPilotLoad(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("import pilot-load takes one file, or - for the standard input")
	}
	name := c.Args().First()
	source, err := readUpTo(name, pilotload.MaxBytes+1)
	if err != nil {
		return usage("%v", err)
	}
	res := pilotload.Import(pilotload.Input{Name: name, Source: source})
	if err := s.printDiagnostics(append(res.Errors, res.Warnings...).Sort()); err != nil {
		return err
	}
	if len(res.Errors) > 0 {
		return exit(runtime.ExitUsage, nil)
	}
	if out := c.String("o"); out != "" {
		return writeNew(out, res.CUE)
	}
	_, err = s.stdout.Write(res.CUE)
	return err
}

// readUpTo reads a file, or the standard input if it is "-", but no more than limit bytes of it.
func readUpTo(name string, limit int64) ([]byte, error) {
	var in io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// writeNew writes a file that must not exist. It leaves none behind that is not whole.
func writeNew(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return usage("%s exists already: name another file, or remove it", name)
	case err != nil:
		return usage("%v", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(name))
	}
	return nil
}
