package main

import "github.com/urfave/cli/v2"

func (s *system) adscCommand() *cli.Command {
	return s.shortCommand(shortForm{
		name: "adsc", usage: "open plain XDS streams to istiod and keep them; needs no api-server",
		description: "It runs until Ctrl-C or --duration and then exits 0 if every stream is synced, 5 if not. Without --sandbox it\n" +
			"connects to --pilot-address: istiod.istio-system.svc:15010 in a cluster, localhost:15010 elsewhere.",
		params: []cli.Flag{
			&cli.IntFlag{Name: "count", Usage: "how many streams: `N`", DefaultText: "1"},
			&cli.DurationFlag{Name: "delay", Usage: "the `TIME` between two connects", DefaultText: "10ms"},
			&cli.StringFlag{Name: "namespace", Usage: "the `NAMESPACE` that the streams say they are in", DefaultText: "default"},
			&cli.StringFlag{Name: "service-account", Usage: "the `NAME` of the ServiceAccount that the streams say they have, as a token has to say too", DefaultText: "default"},
			&cli.BoolFlag{Name: "delta", Usage: "speak the delta protocol; --delta=false for the state of the world", DefaultText: "true"},
			&cli.DurationFlag{Name: "duration", Usage: "stay for this `TIME`, unless interrupted before", DefaultText: "until Ctrl-C"},
		},
		prepare: func(_ *cli.Context, opt *runOptions, _ map[string]string) error {
			if opt.target.sandbox == "" && len(opt.target.pilots) == 0 {
				opt.target.pilots = []string{s.pilotAddress()}
			}
			return nil
		},
	})
}
