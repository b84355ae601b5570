package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/sandbox"
)

// defaultSandbox is the name `sandbox up` uses when none is given.
const defaultSandbox = "default"

// maxIstiods is what the language allows too, as sandbox.istiod.replicas.
const maxIstiods = 16

func (s *system) sandboxCommand() *cli.Command {
	sub := func(name, about string, action cli.ActionFunc, flags ...cli.Flag) *cli.Command {
		return &cli.Command{Name: name, Usage: about, ArgsUsage: "[NAME]", Action: action, Flags: flags, OnUsageError: usageError}
	}
	return &cli.Command{
		Name:         "sandbox",
		Usage:        "start and stop a private etcd, kube-apiserver and istiod",
		OnUsageError: usageError,
		Subcommands: []*cli.Command{
			sub("up", "start a sandbox and leave it running", s.sandboxUp,
				&cli.StringSliceFlag{Name: "istiod-env", Usage: "add `NAME=VALUE` to istiod's environment; repeatable"},
				&cli.StringFlag{Name: "profile", Value: "ambient", Usage: "install Istio with `PROFILE` ambient or default; the second is for sidecars only"},
				&cli.IntFlag{Name: "istiods", Value: 1, Usage: "start `N` istiods, each on ports of its own"},
				&cli.BoolFlag{Name: "controllers", Usage: "add the kube-controller-manager, for scenarios with cluster: \"fake-nodes\""},
				&cli.StringFlag{Name: "istiod", Usage: "another pilot-discovery `BINARY` than the pinned one"}),
			sub("down", "stop a sandbox and remove its files", s.sandboxDown),
			sub("status", "list sandboxes and whether they live", s.sandboxStatus),
			sub("env", "print shell lines that point kubectl and others at a sandbox", s.sandboxEnv),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func sandboxName(c *cli.Context) (string, error) {
	name := defaultSandbox
	switch c.NArg() {
	case 0:
	case 1:
		name = c.Args().First()
	default:
		return "", usage("want one NAME")
	}
	if err := sandbox.ValidateName(name); err != nil {
		return "", exit(runtime.ExitUsage, err)
	}
	return name, nil
}

func (s *system) sandboxUp(c *cli.Context) error {
	name, err := sandboxName(c)
	if err != nil {
		return err
	}
	env, err := pairs("--istiod-env", c.StringSlice("istiod-env"))
	if err != nil {
		return err
	}
	istiods := c.Int("istiods")
	if istiods < 1 || istiods > maxIstiods {
		return usage("--istiods %d: want 1 to %d", istiods, maxIstiods)
	}
	profile := c.String("profile")
	if profile != "ambient" && profile != "default" {
		return usage("--profile %s: want ambient or default", profile)
	}
	box, err := sandbox.Up(c.Context, name, sandbox.Config{
		Profile: profile, IstiodEnv: env, IstiodBinary: c.String("istiod"), Istiods: istiods, Controllers: c.Bool("controllers"), Progress: s.stages(false),
	})
	switch {
	case errors.Is(err, sandbox.ErrExists):
		return exit(runtime.ExitTarget, fmt.Errorf("sandbox %s is up already: `plscript sandbox env %s` says how to use it", name, name))
	case err != nil:
		return exit(runtime.ExitTarget, err)
	}
	fmt.Fprintf(s.stdout, "sandbox %s is up: Kubernetes %s, istiod %s\n", name, box.KubernetesVersion, box.IstioVersion)
	if istiods > 1 {
		fmt.Fprintf(s.stdout, "  istiods:  %s\n", strings.Join(box.XDSAddresses(), " "))
	}
	fmt.Fprintf(s.stdout, "  use it:   eval \"$(plscript sandbox env %s)\"\n  run on it: plscript run --sandbox %s FILE\n  stop it:  plscript sandbox down %s\n", name, name, name)
	return nil
}

func (s *system) sandboxDown(c *cli.Context) error {
	name, err := sandboxName(c)
	if err != nil {
		return err
	}
	// What was begun is finished: an interrupt must not leave half a sandbox.
	if err := sandbox.Down(context.WithoutCancel(c.Context), name, ""); err != nil {
		return exit(runtime.ExitTarget, err)
	}
	fmt.Fprintf(s.stdout, "sandbox %s is down\n", name)
	return nil
}

func (s *system) sandboxStatus(c *cli.Context) error {
	all, err := sandbox.List(c.Context, "")
	if err != nil {
		return exit(runtime.ExitTarget, err)
	}
	if c.Args().Present() {
		name, err := sandboxName(c)
		if err != nil {
			return err
		}
		all = named(all, name)
		if len(all) == 0 {
			return exit(runtime.ExitTarget, fmt.Errorf("%s: %w", name, sandbox.ErrNotFound))
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(s.stdout, "no sandbox")
		return nil
	}
	// What is dead is shown once, and its files go.
	defer func() { _, _ = sandbox.Sweep(c.Context, "", nil) }()
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tCONDITION\tAGE\tISTIOD\tPROFILE\tXDS\tPROCESSES")
	for _, st := range all {
		fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%s\t%s\t%s\n", st.Name, st.Condition, time.Since(st.Created).Round(time.Second), st.IstioVersion, st.Profile, strings.Join(st.XDSAddresses(), ","), processes(st))
	}
	return w.Flush()
}

func named(all []sandbox.Status, name string) []sandbox.Status {
	for _, st := range all {
		if st.Name == name {
			return []sandbox.Status{st}
		}
	}
	return nil
}

func processes(st sandbox.Status) string {
	var parts []string
	for _, p := range st.Processes {
		state := "dead"
		if p.Alive {
			state = fmt.Sprint(p.PID)
		}
		parts = append(parts, p.Name+"="+state)
	}
	return strings.Join(parts, " ")
}

func (s *system) sandboxEnv(c *cli.Context) error {
	name, err := sandboxName(c)
	if err != nil {
		return err
	}
	box, err := sandbox.Open(c.Context, name, "")
	if err != nil {
		return exit(runtime.ExitTarget, err)
	}
	for _, line := range box.Env() {
		fmt.Fprintln(s.stdout, line)
	}
	return nil
}

// stages shows the stages of making a sandbox on stderr: redrawn in place on a terminal, and in a pipe one line for each
// beginning and end.
func (s *system) stages(quiet bool) func(sandbox.Event) {
	return func(e sandbox.Event) {
		switch {
		case quiet:
		case s.errTTY:
			fmt.Fprintf(s.stderr, "\r\x1b[K%s", e)
			if e.Done {
				fmt.Fprint(s.stderr, "\r\x1b[K")
			}
		case e.Elapsed == 0 || e.Done || strings.HasPrefix(e.Stage, "building"):
			fmt.Fprintln(s.stderr, e)
		}
	}
}
