package main

import "github.com/urfave/cli/v2"

func (s *system) impersonateCommand() *cli.Command {
	return s.shortCommand(shortForm{
		name: "impersonate", usage: "open an XDS stream for each pod that lives in a cluster; writes nothing",
		description: "It follows pods as they come and go, until Ctrl-C or --duration, and then exits 0 if every stream is synced, 5 if not.",
		params: []cli.Flag{
			&cli.StringFlag{Name: "selector", Usage: "which `PODS`: sidecar (those with a proxy), external (those without), both, or a label selector", DefaultText: "sidecar"},
			&cli.StringFlag{Name: "namespace", Usage: "only the pods in this `NAMESPACE`"},
			&cli.IntFlag{Name: "replicas", Usage: "how many streams for each pod: `N`", DefaultText: "1"},
			&cli.DurationFlag{Name: "delay", Usage: "the `TIME` between two connects", DefaultText: "0s"},
			&cli.DurationFlag{Name: "duration", Usage: "stay for this `TIME`, unless interrupted before", DefaultText: "until Ctrl-C"},
		},
		prepare: needsTarget("impersonate"),
	})
}
