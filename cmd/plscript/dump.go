package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/dump"
	"github.com/plscript/plscript/sandbox"
)

// dumpAdminPort is where Envoy has its admin pages, as in Istio.
const dumpAdminPort = 15000

func (s *system) dumpCommand() *cli.Command {
	return &cli.Command{
		Name:  "dump",
		Usage: "write what istiod sends to one pod's proxy as files that Envoy runs",
		Description: "It shows itself to istiod as the pod's proxy would, asks for the pod's certificate, and turns every dynamic source\n" +
			"into a file: `envoy -c DIR/config.yaml` then runs without istiod. It takes Istio's build of Envoy, for Istio's filters.\n" +
			"Nothing is written to the cluster, so that $KUBECONFIG will do where no target is named.\n" +
			"In a scenario, the action dump does the same.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "pod", Usage: "the `NAME` of the pod"},
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "the pod's `NAMESPACE`"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "write the files into the folder `DIR`, which must be new or empty"},
			&cli.StringFlag{Name: "sandbox", Usage: "the pod is in the sandbox `NAME`"},
			&cli.StringFlag{Name: "kubeconfig", Usage: "the pod is in the cluster of this kubeconfig `FILE`"},
			&cli.StringFlag{Name: "context", Usage: "the pod is in the cluster of this kubeconfig `CONTEXT`"},
			&cli.StringSliceFlag{Name: "pilot-address", Aliases: []string{"p"}, Usage: "istiod's XDS `HOST:PORT`; certificates take the secure port, 15012. Of several, repeated or with commas between them, each has its own folder in DIR", DefaultText: "localhost:15012, or istiod.istio-system.svc:15012 in a cluster"},
			&cli.StringFlag{Name: "auth", Aliases: []string{"a"}, Usage: "how to authenticate, `MODE`: plaintext, plaintext-jwt, jwt or mtls; plaintext in a sandbox and on port 15010, jwt elsewhere"},
			&cli.BoolFlag{Name: "insecure", Usage: "do not verify istiod's certificate"},
			&cli.StringSliceFlag{Name: "metadata", Aliases: []string{"m"}, Usage: "add `K=V` to the proxy's metadata; repeatable"},
			&cli.UintFlag{Name: "admin-port", Value: dumpAdminPort, Usage: "the `PORT` of Envoy's admin pages, on loopback; 0 takes any"},
			&cli.DurationFlag{Name: "patience", Value: 5 * time.Second, Usage: "how long istiod may be silent before what is missing is done without: `TIME`"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "give up after this `TIME`"},
		},
		Action:       s.dump,
		OnUsageError: usageError,
	}
}

func (s *system) dump(c *cli.Context) error {
	switch {
	case c.Args().Present():
		return usage("dump takes no arguments, only flags; got %q", c.Args().First())
	case c.String("pod") == "" || c.String("namespace") == "":
		return usage("dump needs --pod NAME, and --namespace unless it is default")
	case c.String("out") == "":
		return usage("dump needs --out DIR")
	case c.Uint("admin-port") > 65535:
		return usage("--admin-port %d: want 0 to 65535", c.Uint("admin-port"))
	case c.Duration("patience") <= 0 || c.Duration("timeout") <= 0:
		return usage("--patience and --timeout: want more than 0s")
	}
	d, err := s.dumperFor(c)
	if err != nil {
		return err
	}
	root, err := emptyFolder(c.String("out"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	for sub, one := range d.each() {
		dir := filepath.Join(root, sub)
		out, err := one.dump(ctx, c.String("namespace"), c.String("pod"), outputs{dir}, dir)
		if err != nil {
			_ = os.Remove(root) // only if nothing was written
			return exit(runtime.ExitTarget, err)
		}
		for _, n := range out.notes {
			fmt.Fprintf(s.stderr, "plscript: %s\n", n)
		}
		if err := writeDumped(s.stdout, out, dir); err != nil {
			return err
		}
	}
	return nil
}

// dumperFor finds the target that the flags name. Reading needs no more than $KUBECONFIG.
func (s *system) dumperFor(c *cli.Context) (*dumper, error) {
	meta, err := pairs("--metadata", c.StringSlice("metadata"))
	if err != nil {
		return nil, err
	}
	opt := targetOptions{
		sandbox: c.String("sandbox"), kubeconfig: c.String("kubeconfig"), context: c.String("context"),
		auth: c.String("auth"), insecure: c.Bool("insecure"),
	}
	if opt.pilots, err = readAddresses("--pilot-address", c.StringSlice("pilot-address")); err != nil {
		return nil, err
	}
	if opt.sandbox != "" && opt.cluster() {
		return nil, usage("--sandbox does not go with --kubeconfig or --context")
	}
	mode, err := checkAuthOf(opt.auth, opt.pilots)
	if err != nil {
		return nil, err
	}
	d := &dumper{
		metadata: map[string]any{}, insecure: opt.insecure, patience: c.Duration("patience"), admin: uint32(c.Uint("admin-port")),
		log: slog.New(slog.DiscardHandler),
	}
	for k, v := range meta {
		d.metadata[k] = v
	}
	switch {
	case opt.sandbox != "":
		if err := sandbox.ValidateName(opt.sandbox); err != nil {
			return nil, exit(runtime.ExitUsage, err)
		}
		box, err := sandbox.Open(c.Context, opt.sandbox, "")
		if err != nil {
			return nil, exit(runtime.ExitTarget, err)
		}
		if d.target, err = authTarget(box, "sandbox "+box.Name, false, mode); err == nil && len(opt.pilots) > 0 {
			d.target.xds, d.target.pilots = opt.pilots[0], opt.pilots
		}
		return d, err
	case opt.cluster() || s.getenv("KUBECONFIG") != "":
		if len(opt.pilots) == 0 {
			opt.pilots = []string{strings.TrimSuffix(s.pilotAddress(), "15010") + "15012"}
		}
		if d.target, err = openCluster(c.Context, opt); err != nil {
			return nil, exit(runtime.ExitTarget, err)
		}
		return d, nil
	}
	return nil, exit(runtime.ExitTarget, errors.New("dump needs a target: name one with --sandbox NAME, --kubeconfig FILE or --context CONTEXT, or set $KUBECONFIG"))
}

// emptyFolder makes the folder for a dump, unless it is there and empty, and returns its absolute path.
func emptyFolder(dir string) (string, error) {
	root, err := absolute(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", usage("--out: %v", err)
	}
	held, err := os.ReadDir(root)
	switch {
	case err != nil:
		return "", usage("--out: %v", err)
	case len(held) > 0:
		return "", usage("--out %s: the folder is not empty; name another, or remove what is in it", dir)
	}
	return root, nil
}

func absolute(dir string) (string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", usage("--out: %v", err)
	}
	return root, nil
}

// within is the files of a folder inside of another's.
type within struct {
	files  runtime.Files
	folder string
}

// Create implements [runtime.Files].
func (w within) Create(name string, private bool) (io.WriteCloser, error) {
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("%q: %w", name, errOutside)
	}
	return w.files.Create(path.Join(w.folder, name), private)
}

// writeDumped says what a dump holds.
func writeDumped(w io.Writer, out *dumped, root string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d files in %s\n ", out.proxy.Class, out.proxy.Key(), out.Files, root)
	for _, t := range slices.Sorted(maps.Keys(out.Resources)) {
		fmt.Fprintf(&b, " %s %d", t, out.Resources[t])
	}
	b.WriteString("\n")
	for _, m := range out.Missing {
		fmt.Fprintf(&b, "  missing: %s, which istiod did not send; an empty one stands in\n", m)
	}
	for _, d := range out.Dynamic {
		fmt.Fprintf(&b, "  still dynamic: %s\n", d)
	}
	for _, f := range out.Binary {
		fmt.Fprintf(&b, "  binary: %s, as it holds types that are not known here\n", f)
	}
	fmt.Fprintf(&b, "run it: envoy -c %s\n", filepath.Join(root, dump.Bootstrap))
	_, err := io.WriteString(w, b.String())
	return err
}
