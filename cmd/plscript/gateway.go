package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/gateway"
	"github.com/plscript/plscript/runtime"
)

// gatewayCommand is the process that carries a sandbox's ingress traffic. Runs start it; it is not for people.
func (s *system) gatewayCommand() *cli.Command {
	return &cli.Command{
		Name:        "gateway",
		Usage:       "serve HTTP as an ingress gateway that istiod configures",
		Description: "It prints its address first, and ends when its standard input does: with the process that started it.",
		Hidden:      true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "istiod", Usage: "istiod's plaintext XDS `HOST:PORT`"},
			&cli.StringFlag{Name: "node", Usage: "the node `ID`: router~IP~pod.namespace~namespace.svc.cluster.local"},
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:0", Usage: "take HTTP at `HOST:PORT`"},
		},
		Action:       s.gateway,
		OnUsageError: usageError,
	}
}

func (s *system) gateway(c *cli.Context) error {
	if c.Args().Present() {
		return usage("gateway takes no arguments, got %q", c.Args().First())
	}
	for _, flag := range []string{"istiod", "node"} {
		if c.String(flag) == "" {
			return usage("gateway needs --%s", flag)
		}
	}
	address, err := readAddress("--istiod", c.String("istiod"))
	if err != nil {
		return err
	}
	listen, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return exit(runtime.ExitTarget, err)
	}
	g, err := gateway.New(gateway.Config{
		Istiod: address, Node: c.String("node"), Listen: listen, Log: slog.New(slog.NewTextHandler(s.stderr, nil)),
	})
	if err != nil {
		return usage("%v", errors.Join(err, listen.Close()))
	}
	fmt.Fprintln(s.stdout, listen.Addr())
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the other end of the pipe is closed, however its owner ended
		cancel()
	}()
	return g.Run(ctx)
}

// gateways starts gateway processes beside a run. It implements [runtime.Gateways].
type gateways struct {
	session *session
	istiod  string
}

// Start implements [runtime.Gateways].
func (g gateways) Start(ctx context.Context, nodeID string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("gateway: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "gateway", "--istiod", g.istiod, "--node", nodeID)
	// A group of its own: an interrupt of the terminal is for the run, which ends the gateway when it is done with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = g.session.progress
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", fmt.Errorf("gateway: %w", err)
	}
	cmd.Cancel = stdin.Close
	cmd.WaitDelay = syncFor
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("gateway: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("gateway: %w", err)
	}
	first, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", errors.Join(fmt.Errorf("gateway: it said no address: %w", err), stdin.Close(), cmd.Wait())
	}
	g.session.gatewayStarted(ctx, nodeID, cmd)
	return strings.TrimSpace(first), nil
}

// gatewayStarted notes that istiod knows a proxy that is not the pool's, until its process has ended.
func (r *session) gatewayStarted(ctx context.Context, nodeID string, cmd *exec.Cmd) {
	id := strings.Split(nodeID, "~")[2] // pod.namespace, as syncz lists it
	r.mu.Lock()
	r.gatewayIDs = append(r.gatewayIDs, id)
	r.mu.Unlock()
	r.parts.Go(func() {
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			r.log.Error("the gateway has ended", "node", nodeID, "error", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.Index(r.gatewayIDs, id)
		r.gatewayIDs = slices.Delete(r.gatewayIDs, i, i+1)
	})
}

// openGateways are the gateway processes under way.
func (r *session) openGateways() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.gatewayIDs)
}
