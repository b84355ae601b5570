package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/sandbox"
)

func (s *system) cleanCommand() *cli.Command {
	return &cli.Command{
		Name:  "clean",
		Usage: "remove what a run has left behind, by the run's id alone",
		Description: "Without a target it looks in every named sandbox that runs. It removes what carries the run's label and\n" +
			"nothing else, and needs no scenario file.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "the `ID` that the run printed first"},
			&cli.StringFlag{Name: "sandbox", Usage: "clean the sandbox `NAME`"},
			&cli.StringFlag{Name: "kubeconfig", Usage: "clean the cluster of this kubeconfig `FILE`"},
			&cli.StringFlag{Name: "context", Usage: "clean the cluster of this kubeconfig `CONTEXT`"},
		},
		Action:       s.clean,
		OnUsageError: usageError,
	}
}

func (s *system) clean(c *cli.Context) error {
	id := c.String("run")
	if id == "" {
		return usage("clean needs --run ID: the id that the run printed first")
	}
	if problems := validation.IsValidLabelValue(id); len(problems) > 0 {
		return usage("--run %q is not the id of a run", id)
	}
	if c.Args().Present() {
		return usage("clean takes no arguments")
	}
	targets, err := cleanTargets(c)
	if err != nil {
		return err
	}
	failed := false
	for _, t := range targets {
		if err := cleanTarget(c.Context, t, id); err != nil {
			failed = true
			fmt.Fprintf(s.stderr, "plscript: %s: %v\n", t.about, err)
			continue
		}
		fmt.Fprintf(s.stdout, "%s: nothing of run %s is left\n", t.about, id)
	}
	if failed {
		return exit(runtime.ExitCleanup, nil)
	}
	return nil
}

// cleanTargets are the target that the flags name, or every named sandbox that runs.
func cleanTargets(c *cli.Context) ([]*target, error) {
	opt := targetOptions{sandbox: c.String("sandbox"), kubeconfig: c.String("kubeconfig"), context: c.String("context"), pilots: []string{"none"}}
	if opt.cluster() {
		if opt.sandbox != "" {
			return nil, usage("--sandbox does not go with --kubeconfig or --context")
		}
		t, err := openCluster(c.Context, opt)
		if err != nil {
			return nil, exit(runtime.ExitTarget, err)
		}
		return []*target{t}, nil
	}
	names := []string{opt.sandbox}
	if opt.sandbox == "" {
		all, err := sandbox.List(c.Context, "")
		if err != nil {
			return nil, exit(runtime.ExitTarget, err)
		}
		names = nil
		for _, st := range all {
			if st.Condition == sandbox.Running {
				names = append(names, st.Name)
			}
		}
		if len(names) == 0 {
			return nil, exit(runtime.ExitTarget, errors.New("no sandbox runs: name a cluster with --kubeconfig or --context"))
		}
	}
	var out []*target
	for _, name := range names {
		box, err := sandbox.Open(c.Context, name, "")
		if err != nil {
			return nil, exit(runtime.ExitTarget, err)
		}
		t, err := boxTarget(box, "sandbox "+name, false)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// cleanTarget removes what the run left on t.
func cleanTarget(ctx context.Context, t *target, runID string) error {
	controllers, err := controllersRun(ctx, t)
	if err != nil {
		return err
	}
	cfg := apiwriter.CleanConfig{
		REST: t.rest, RunID: runID, Finalize: !controllers, Clock: wallClock{}, Log: slog.New(slog.DiscardHandler),
	}
	if t.box != nil {
		cfg.Store = t.box.EtcdEndpoint()
	}
	left, err := apiwriter.Clean(ctx, cfg)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range left {
		errs = append(errs, fmt.Errorf("%s %s/%s is left: %s", l.Resource, l.Namespace, l.Name, l.Reason))
	}
	return errors.Join(errs...)
}

// cleanUp removes what the run made: a private sandbox as a whole, from any other target the run's objects.
func (r *session) cleanUp(ctx context.Context) error {
	if r.opt.keep || !r.hasAPI() {
		return nil
	}
	if r.target.private {
		return r.target.close(ctx)
	}
	return cleanTarget(ctx, r.target, r.id)
}
