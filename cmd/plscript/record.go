package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
	"github.com/plscript/plscript/runtime/xdspool/replay"
	"github.com/plscript/plscript/sandbox"
)

func (s *system) recordCommand() *cli.Command {
	return &cli.Command{
		Name:  "record",
		Usage: "record what istiod sends one proxy, for benchmarks that serve it to many",
		Description: "The proxy is a made-up one, or that of a pod by its name and IP, over plaintext. `make bench-xds` makes such a\n" +
			"recording of its sandbox, and serves it to thousands.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "write the recording to `FILE`"},
			&cli.StringFlag{Name: "sandbox", Usage: "ask the istiod of the sandbox `NAME`"},
			&cli.StringFlag{Name: "pilot-address", Aliases: []string{"p"}, Usage: "ask istiod at `HOST:PORT`, its plaintext port; istiod.istio-system.svc:15010 in a cluster and localhost:15010 elsewhere"},
			&cli.StringFlag{Name: "class", Usage: "`CLASS` of the proxy: sidecar, gateway, waypoint, ztunnel or client", Value: string(runtime.ClassSidecar)},
			&cli.StringFlag{Name: "namespace", Usage: "the proxy's `NAMESPACE`", Value: "default"},
			&cli.StringFlag{Name: "pod", Usage: "the `NAME` of its pod", Value: "recorder"},
			&cli.StringFlag{Name: "ip", Usage: "the `IP` of its pod", Value: "192.0.2.1"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("record takes no arguments, got %q", c.Args().First())
			}
			if c.String("out") == "" {
				return usage("record needs --out FILE")
			}
			proxy := runtime.Proxy{
				Class: runtime.ProxyClass(c.String("class")), Namespace: c.String("namespace"), Name: c.String("pod"), IP: c.String("ip"),
				ServiceAccount: "default",
			}
			if !slices.Contains(runtime.ProxyClasses, proxy.Class) {
				return usage("--class %s: want one of %q", proxy.Class, runtime.ProxyClasses)
			}
			address, err := readAddress("--pilot-address", c.String("pilot-address"))
			if err != nil {
				return err
			}
			if address == "" {
				address = s.pilotAddress()
			}
			return s.record(c.Context, c.String("sandbox"), address, proxy, c.String("out"))
		},
		OnUsageError: usageError,
	}
}

// record writes what istiod sends the proxy into file.
func (s *system) record(ctx context.Context, box, address string, proxy runtime.Proxy, file string) error {
	cfg := xdspool.Config{}
	if box != "" {
		b, err := sandbox.Open(ctx, box, "")
		if err != nil {
			return exit(runtime.ExitTarget, err)
		}
		address = b.XDSAddress()
		if cfg.IstioVersion, err = istiod.NewClient(b.MonitoringAddress(), nil).Version(ctx); err != nil {
			return exit(runtime.ExitTarget, err)
		}
	}
	t := &target{xds: address}
	probe, err := t.dial(ctx) // a gRPC client would wait until somebody listens
	if err != nil {
		return exit(runtime.ExitTarget, err)
	}
	err = checkPlaintext(probe)
	probe.Close()
	if err != nil {
		return exit(runtime.ExitTarget, t.unreachable(err))
	}
	node, err := cfg.Node(proxy)
	if err != nil {
		return exit(runtime.ExitUsage, err)
	}
	ctx, conn, err := oracle.Dial(ctx, address, xdspool.Credentials{})
	if err != nil {
		return exit(runtime.ExitTarget, err)
	}
	defer conn.Close()
	rec, err := replay.Record(ctx, oracle.Request{Conn: conn, Node: node, Types: replay.Roots(proxy.Class), Clock: wallClock{}})
	if err != nil {
		return exit(runtime.ExitTarget, fmt.Errorf("istiod at %s: %w", address, err))
	}
	if err := writeWhole(file, rec.Write); err != nil {
		return exit(runtime.ExitUsage, err)
	}
	for _, a := range rec.Answers {
		fmt.Fprintf(s.stdout, "%6d  %s\n", len(a.Resources), a.TypeUrl)
	}
	return nil
}

// writeWhole writes a file, or leaves none.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(name) // half a recording is worse than none
	}
	return err
}
