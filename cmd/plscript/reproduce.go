package main

import (
	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/lang/ir"
)

func (s *system) reproduceCommand() *cli.Command {
	return s.shortCommand(shortForm{
		name: "reproduce", usage: "make the mesh of another cluster again, from a file that `plscript capture` or kubectl wrote",
		description: "On a private sandbox unless a target is named, where pods and Services keep their addresses; on a cluster the\n" +
			"pods are made for istiod only. What is in the cluster already stays as it is. All that is left out or changed is\n" +
			"listed in reproduced.txt, beside the reports.",
		params: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "the `FILE`, YAML or JSON, packed by gzip or not; - is the standard input"},
			&cli.DurationFlag{Name: "delay", Usage: "the `TIME` between the streams of two proxies", DefaultText: "0s"},
			&cli.BoolFlag{Name: "config-only", Aliases: []string{"n"}, Usage: "write the configuration only: no Nodes, no Pods and no streams"},
			&cli.DurationFlag{Name: "duration", Usage: "stay for this `TIME` when all proxies have their configuration", DefaultText: "0s"},
		},
		prepare: func(c *cli.Context, opt *runOptions, params map[string]string) error {
			if params["file"] == "" {
				return usage("reproduce needs a file: --file FILE, or -f - for the standard input")
			}
			if _, set := params["cluster"]; !set && opt.target.cluster() {
				params["cluster"] = string(ir.ClusterReal)
			}
			return nil
		},
	})
}
