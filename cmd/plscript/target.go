package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/runtime/xdspool/auth"
	"github.com/plscript/plscript/sandbox"
)

// targetFlags say what a run is aimed at.
func targetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "sandbox", Usage: "run on the sandbox `NAME` that `plscript sandbox up` started"},
		&cli.StringFlag{Name: "kubeconfig", Aliases: []string{"k"}, Usage: "run on the cluster of this kubeconfig `FILE`"},
		&cli.StringFlag{Name: "context", Usage: "run on the cluster of this kubeconfig `CONTEXT`"},
		&cli.StringFlag{Name: "yes-this-cluster", Usage: "the `CONTEXT` is meant, although it holds what is not plscript's"},
		&cli.StringSliceFlag{Name: "pilot-address", Aliases: []string{"p"}, Usage: "istiod's XDS `HOST:PORT`; for a cluster istiod.istio-system.svc:15010 inside of it and localhost:15010 elsewhere. Without a cluster, nothing but XDS can be had from it. Of several, repeated or with commas between them, each gets its share of the streams"},
		&cli.StringFlag{Name: "auth", Aliases: []string{"a"}, Usage: "how proxies authenticate, `MODE`: plaintext, plaintext-jwt, jwt, mtls or google; plaintext in a sandbox and on port 15010, google at meshconfig.googleapis.com, jwt elsewhere"},
		&cli.StringFlag{Name: "token-file", Usage: "the token that proxies show istiod, in `FILE`; the cluster issues them unless given"},
		&cli.StringFlag{Name: "root-cert", Usage: "verify istiod with the certificate in `FILE`; with the mesh's root in the cluster unless given"},
		&cli.BoolFlag{Name: "insecure", Usage: "do not verify istiod's certificate"},
		&cli.StringSliceFlag{Name: "istiod-address", Usage: "istiod's monitoring `HOST:PORT`, for a cluster; of several istiods all, repeated or with commas between them"},
		&cli.StringFlag{Name: "injection-address", Usage: "istiod's webhook `HOST:PORT`, for a cluster: dialled in place of its Service"},
		&cli.StringSliceFlag{Name: "metadata", Aliases: []string{"m"}, Usage: "add `K=V` to the metadata of every proxy; repeatable"},
		&cli.Float64Flag{Name: "qps", Usage: "at most `N` API requests a second; unlimited unless given"},
	}
}

type targetOptions struct {
	sandbox, kubeconfig, context, yes string
	pilots, istiods                   []string // XDS and monitoring addresses
	injection                         string
	metadata                          map[string]any
	qps                               float64
	auth                              string
	insecure                          bool
	tokenFile, rootCert               string
	inCluster                         bool // plscript runs in a pod
}

func (s *system) targetOptions(c *cli.Context) (targetOptions, error) {
	t := targetOptions{
		sandbox: c.String("sandbox"), kubeconfig: c.String("kubeconfig"), context: c.String("context"),
		yes: c.String("yes-this-cluster"), injection: c.String("injection-address"),
		metadata: map[string]any{}, qps: c.Float64("qps"),
		auth: c.String("auth"), insecure: c.Bool("insecure"), tokenFile: c.String("token-file"), rootCert: c.String("root-cert"),
		inCluster: s.inCluster(),
	}
	var err error
	if t.pilots, err = readAddresses("--pilot-address", c.StringSlice("pilot-address")); err != nil {
		return t, err
	}
	if t.istiods, err = readAddresses("--istiod-address", c.StringSlice("istiod-address")); err != nil {
		return t, err
	}
	if t.injection, err = readAddress("--injection-address", t.injection); err != nil {
		return t, err
	}
	if t.sandbox != "" && len(t.pilots) > 0 {
		return t, usage("--pilot-address does not go with --sandbox, whose istiod is asked at its own ports")
	}
	if t.cluster() && len(t.pilots) == 0 {
		t.pilots = []string{s.pilotAddress()}
	}
	if t.sandbox != "" && t.cluster() {
		return t, usage("--sandbox does not go with --kubeconfig or --context")
	}
	if t.sandbox != "" {
		if err := sandbox.ValidateName(t.sandbox); err != nil {
			return t, exit(runtime.ExitUsage, err)
		}
	}
	if _, err := checkAuthOf(t.auth, t.pilots); err != nil {
		return t, err
	}
	if t.qps < 0 {
		return t, usage("--qps %v: must not be negative", t.qps)
	}
	meta, err := pairs("--metadata", c.StringSlice("metadata"))
	for k, v := range meta {
		t.metadata[k] = v
	}
	return t, err
}

// cluster reports whether a cluster is named that plscript did not start.
func (t targetOptions) cluster() bool { return t.kubeconfig != "" || t.context != "" }

// target is what a run works on.
type target struct {
	about   string       // in words
	rest    *rest.Config // nil if only istiod's address is known
	xds     string       // istiod's XDS address, for the mode of authentication; of several, the one that is asked what one is enough for
	auth    auth.Mode
	google  *auth.GoogleCluster // that proxies belong to, for Google's istiod
	istiod  *istiod.Client      // nil if its pages cannot be reached
	version string              // of istiod; "" if not known
	box     *sandbox.Sandbox
	private bool // the sandbox is this run's own and goes with it

	pilots        []string         // the XDS addresses of all istiods, in their order; nil if there is one
	replicaIstiod []*istiod.Client // the pages of further istiods
}

// addresses are the XDS addresses of all istiods.
func (t *target) addresses() []string {
	if t.pilots == nil {
		return []string{t.xds}
	}
	return t.pilots
}

// monitored sets where the istiods' pages are.
func (t *target) monitored(addresses []string) {
	for i, a := range addresses {
		client := istiod.NewClient(a, nil)
		if i == 0 {
			t.istiod = client
			continue
		}
		t.replicaIstiod = append(t.replicaIstiod, client)
	}
}

// fleet is all istiods; their pages can be reached.
func (t *target) fleet() istiod.Fleet {
	return append(istiod.Fleet{t.istiod}, t.replicaIstiod...)
}

// openTarget starts a private sandbox, or finds the one named, or the cluster.
func (s *system) openTarget(ctx context.Context, opt runOptions, set ir.Sandbox, runID string) (*target, error) {
	mode := auth.Mode(opt.target.auth)
	if mode == "" {
		mode = auth.Plaintext
	}
	switch {
	case opt.target.cluster():
		return openCluster(ctx, opt.target)
	case opt.target.sandbox != "":
		box, err := sandbox.Open(ctx, opt.target.sandbox, "")
		if err != nil {
			return nil, err
		}
		return authTarget(box, "sandbox "+box.Name, false, mode)
	case len(opt.target.pilots) > 0:
		return openAddress(opt.target)
	}
	cfg := sandbox.Config{
		Profile: string(set.Profile), IstiodEnv: set.Istiod.Env, IstiodBinary: set.Istiod.Binary, Istiods: set.Istiod.Replicas, Controllers: set.Controllers,
		Progress: s.stages(opt.quiet), Log: slog.New(slog.DiscardHandler),
	}
	if opt.keep {
		// What is kept has to outlive this process, so it gets a name: the run's.
		box, err := sandbox.Up(ctx, runID, cfg)
		if err != nil {
			return nil, err
		}
		return authTarget(box, "sandbox "+box.Name, false, mode)
	}
	box, err := sandbox.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return authTarget(box, "private sandbox", true, mode)
}

func boxTarget(box *sandbox.Sandbox, about string, private bool) (*target, error) {
	return authTarget(box, about, private, auth.Plaintext)
}

// authTarget is the sandbox at the port that the mode speaks to.
func authTarget(box *sandbox.Sandbox, about string, private bool, mode auth.Mode) (*target, error) {
	cfg, err := box.RESTConfig()
	if err != nil {
		return nil, err
	}
	addresses := box.XDSAddresses()
	if secure(mode) {
		addresses = box.SecureXDSAddresses()
	}
	t := &target{
		about: about, rest: cfg, xds: addresses[0], pilots: addresses, auth: mode,
		version: box.IstioVersion, box: box, private: private,
	}
	t.monitored(box.MonitoringAddresses())
	return t, nil
}

// openCluster reads the kubeconfig that the flags name, and never one that only the environment does: writing commands
// must not find a cluster by accident.
func openCluster(ctx context.Context, t targetOptions) (*target, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	cc := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: t.context})
	cfg, err := cc.ClientConfig()
	if err != nil {
		return nil, err
	}
	name := t.context
	if raw, err := cc.RawConfig(); err == nil && name == "" {
		name = raw.CurrentContext
	}
	out := &target{about: "context " + name, rest: cfg, xds: t.pilots[0], pilots: t.pilots}
	if out.auth, err = checkAuthOf(t.auth, t.pilots); err != nil {
		return nil, err
	}
	if out.auth == auth.Google {
		if out.google, err = inferGoogle(ctx, name, t.inCluster, googleMetadata); err != nil {
			return nil, err
		}
	}
	out.monitored(t.istiods)
	if t.yes != "" && t.yes != name {
		return nil, fmt.Errorf("--yes-this-cluster %s: the context is %s", t.yes, name)
	}
	return out, nil
}

// close ends a sandbox that goes with the run.
func (t *target) close(ctx context.Context) error {
	if !t.private {
		return nil
	}
	return t.box.Stop(ctx)
}
