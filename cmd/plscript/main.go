// Command plscript load-tests the Istio control plane with declarative scenarios.
//
// This package puts the parts together and holds no logic of its own: one file for each subcommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
)

func main() { os.Exit(Main()) }

// Main runs the command line and returns the exit code.
func Main() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go onSignal(func() { cancel(runtime.ErrInterrupted) })
	sys := &system{
		stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr), command: os.Args,
	}
	return int(sys.main(ctx, os.Args))
}

// onSignal calls stop at the first SIGINT or SIGTERM, so that the run ends and cleans up, and lets a second one end the
// process at once.
func onSignal(stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	<-ch
	signal.Stop(ch)
	stop()
}

// system is what the commands see of the outside world.
type system struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	outTTY, errTTY bool
	command        []string
}

func (s *system) main(ctx context.Context, args []string) runtime.ExitCode {
	quietClientGo()
	app := s.app()
	args = interspersed(app.Commands, args)
	err := app.RunContext(ctx, args)
	if err == nil {
		return runtime.ExitPass
	}
	code := runtime.ExitInternal
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		code = coded.code
		if coded.err == nil {
			return code // the command has said what there is to say
		}
	}
	if errors.Is(context.Cause(ctx), runtime.ErrInterrupted) {
		code = runtime.ExitInterrupted
	}
	fmt.Fprintf(s.stderr, "plscript: %v\n", err)
	return code
}

// exitError ends the process with a code; err is printed unless nil.
type exitError struct {
	code runtime.ExitCode
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exit(code runtime.ExitCode, err error) error {
	if code == runtime.ExitPass && err == nil {
		return nil
	}
	return &exitError{code, err}
}

func usage(format string, args ...any) error {
	return exit(runtime.ExitUsage, fmt.Errorf(format, args...))
}

func (s *system) app() *cli.App {
	return &cli.App{
		Name:                      "plscript",
		Usage:                     "load-test the Istio control plane with declarative scenarios",
		Description:               "Exit codes: 0 pass, 1 internal error, 2 bad usage or invalid scenario, 3 target not usable,\n4 an action failed, 5 a threshold was breached, 6 the run is invalid, 7 cleanup left something\nbehind, 130 interrupted.",
		Version:                   version(),
		HideHelpCommand:           true,
		Writer:                    s.stdout,
		ErrWriter:                 s.stderr,
		DisableSliceFlagSeparator: true, // commas in values survive
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			s.runCommand(), s.validateCommand(), s.planCommand(), s.showCommand(), s.adscCommand(), s.impersonateCommand(), s.proberCommand(), s.gatewayCommand(), s.docsCommand(), s.initCommand(), s.matrixCommand(), s.schemaCommand(), s.importCommand(), s.sandboxCommand(), s.cleanCommand(), s.captureCommand(), s.recordCommand(), s.reproduceCommand(), s.dumpCommand(), s.compareCommand(), s.startupCommand(),
		},
	}
}

func usageError(_ *cli.Context, err error, _ bool) error { return exit(runtime.ExitUsage, err) }
