package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/capture"
	"github.com/plscript/plscript/sandbox"
)

func (s *system) captureCommand() *cli.Command {
	return &cli.Command{
		Name:  "capture",
		Usage: "write the mesh of a cluster to a file, for `plscript reproduce`",
		Description: "It takes what Istio and the Gateway API read, and of pods no environments, commands or volumes. Nothing is\n" +
			"written to the cluster, so that $KUBECONFIG will do where no target is named.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "write to this new `FILE`, packed if it ends in .gz; - is the standard output"},
			&cli.BoolFlag{Name: "anonymize", Usage: "replace all names, hosts, labels and addresses, so that references still match"},
			&cli.BoolFlag{Name: "secrets", Usage: "take in the certificates of gateways, with generated keys and certificates in place of theirs"},
			&cli.StringFlag{Name: "sandbox", Usage: "capture the sandbox `NAME`"},
			&cli.StringFlag{Name: "kubeconfig", Usage: "capture the cluster of this kubeconfig `FILE`"},
			&cli.StringFlag{Name: "context", Usage: "capture the cluster of this kubeconfig `CONTEXT`"},
			&cli.Float64Flag{Name: "qps", Usage: "at most `N` API requests a second", DefaultText: "unlimited"},
		},
		Action:       s.capture,
		OnUsageError: usageError,
	}
}

func (s *system) capture(c *cli.Context) error {
	switch {
	case c.Args().Present():
		return usage("capture takes no arguments, only flags; got %q", c.Args().First())
	case c.String("out") == "":
		return usage("capture needs --out FILE, or --out - for the standard output")
	case c.Float64("qps") < 0:
		return usage("--qps %v: must not be negative", c.Float64("qps"))
	}
	cfg, err := s.readable(c)
	if err != nil {
		return err
	}
	keys, err := capture.NewKeys(time.Now())
	if err != nil {
		return err
	}
	got, err := capture.Live(c.Context, cfg, capture.Selection{Secrets: c.Bool("secrets")}, keys)
	if err != nil {
		return exit(runtime.ExitTarget, err)
	}
	if c.Bool("anonymize") {
		if err := got.Anonymize(keys); err != nil {
			return err
		}
	}
	if err := s.writeCapture(c.String("out"), got); err != nil {
		return err
	}
	for _, l := range got.Left {
		fmt.Fprintf(s.stderr, "left out  %s\n", l)
	}
	var kinds []string
	for _, k := range got.Counts() {
		kinds = append(kinds, fmt.Sprintf("%d %s", k.Count, k.Kind))
	}
	fmt.Fprintf(s.stderr, "captured %d objects: %s\n", got.Len(), strings.Join(kinds, ", "))
	return nil
}

// writeCapture writes the file, which must be new, or the standard output.
func (s *system) writeCapture(name string, got *capture.Capture) error {
	var text bytes.Buffer
	if err := got.Write(&text); err != nil {
		return err
	}
	if name == "-" {
		_, err := s.stdout.Write(text.Bytes())
		return err
	}
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write(text.Bytes())
		if err = errors.Join(err, z.Close()); err != nil {
			return err
		}
		text = packed
	}
	return writeNew(name, text.Bytes())
}

// readable is the api-server that the flags name, or $KUBECONFIG: what only reads may find a cluster by its environment.
func (s *system) readable(c *cli.Context) (*rest.Config, error) {
	box, kubeconfig, context := c.String("sandbox"), c.String("kubeconfig"), c.String("context")
	if box != "" && (kubeconfig != "" || context != "") {
		return nil, usage("--sandbox does not go with --kubeconfig or --context")
	}
	var cfg *rest.Config
	var err error
	switch {
	case box != "":
		if err := sandbox.ValidateName(box); err != nil {
			return nil, exit(runtime.ExitUsage, err)
		}
		var opened *sandbox.Sandbox
		if opened, err = sandbox.Open(c.Context, box, ""); err == nil {
			cfg, err = opened.RESTConfig()
		}
	case kubeconfig != "" || context != "" || s.getenv("KUBECONFIG") != "":
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = kubeconfig
		cfg, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	default:
		err = errors.New("capture needs a target: name one with --sandbox NAME, --kubeconfig FILE or --context CONTEXT, or set $KUBECONFIG")
	}
	if err != nil {
		return nil, exit(runtime.ExitTarget, err)
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, 0
	if qps := c.Float64("qps"); qps > 0 {
		cfg.QPS, cfg.Burst = float32(qps), int(2*qps)+1
	}
	cfg.WarningHandler = rest.NoWarnings{}
	return cfg, nil
}
