package main

import "github.com/urfave/cli/v2"

func (s *system) proberCommand() *cli.Command {
	return s.shortCommand(shortForm{
		name: "prober", usage: "keep adding VirtualServices to an ingress gateway, and measure how long each takes to work",
		description: "Without a target it runs on a private sandbox, where a small gateway process, fed by istiod, carries the traffic.\n" +
			"On a cluster it watches what istiod sends to gateways of the cluster's label, and, given --gateway-address, asks\n" +
			"the cluster's own gateway for each route.",
		params: []cli.Flag{
			&cli.IntFlag{Name: "replicas", Usage: "how many VirtualServices: `N`", DefaultText: "1000"},
			&cli.DurationFlag{Name: "delay", Usage: "the `TIME` between one that is ready and the next", DefaultText: "1s"},
			&cli.IntFlag{Name: "delay-threshold", Usage: "measure only when there are `N` already, which are added without a delay", DefaultText: "0"},
			&cli.StringFlag{Name: "gateway-address", Usage: "the gateway's HTTP `HOST:PORT`"},
			&cli.StringFlag{Name: "gateway-label", Usage: "the `VALUE` of the label istio that the cluster's gateways have", DefaultText: "ingressgateway"},
			&cli.StringFlag{Name: "gateway-namespace", Usage: "the `NAMESPACE` of the cluster's gateways", DefaultText: "istio-system"},
			&cli.DurationFlag{Name: "limit", Usage: "the `TIME` after which one that is not ready is counted as an error", DefaultText: "1m0s"},
		},
		prepare: func(_ *cli.Context, opt *runOptions, params map[string]string) error {
			if _, set := params["ingress"]; !set && opt.target.cluster() {
				params["ingress"] = "existing"
			}
			return nil
		},
	})
}
