package main

import (
	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/lang/ir"
)

func (s *system) startupCommand() *cli.Command {
	needed := needsTarget("startup")
	return s.shortCommand(shortForm{
		name: "startup", usage: "start real pods one after another, and measure how long each takes until it is ready",
		description: "It keeps --concurrency pods alive until Ctrl-C, --duration or --count, says a line for each, and then the mean, the\n" +
			"percentiles and the slowest; exit 0 if every pod got ready, 5 if not. The pods are deleted again. On a cluster,\n" +
			"which the flags have to name, its own scheduler and kubelets run them, beside whatever runs there; in a sandbox\n" +
			"the run's own kubelet does, which only says so.",
		params: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "make the pods in this `NAMESPACE`, which must exist", DefaultText: "default"},
			&cli.IntFlag{Name: "concurrency", Usage: "how many pods there are at any time: `N`", DefaultText: "1"},
			&cli.IntFlag{Name: "count", Usage: "start `N` pods in all", DefaultText: "as many as there is time for"},
			&cli.DurationFlag{Name: "duration", Usage: "start pods for this `TIME`, unless interrupted before", DefaultText: "until Ctrl-C"},
			&cli.DurationFlag{Name: "cooldown", Usage: "the `TIME` that a worker rests between two pods", DefaultText: "10ms"},
			&cli.BoolFlag{Name: "inject", Usage: "ask for a sidecar; --inject=false for none", DefaultText: "as the namespace says"},
			&cli.StringFlag{Name: "spec", Usage: "the Pod to start: a YAML `FILE`", DefaultText: "a small one with a readiness probe"},
			&cli.DurationFlag{Name: "patience", Usage: "the `TIME` that a pod may take before it counts as an error", DefaultText: "5m"},
		},
		prepare: func(c *cli.Context, opt *runOptions, params map[string]string) error {
			if err := needed(c, opt, params); err != nil {
				return err
			}
			if opt.target.sandbox != "" {
				params["cluster"] = string(ir.ClusterSandbox)
			}
			opt.live = true
			return nil
		},
	})
}
