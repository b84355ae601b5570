package sandbox

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// all are the numbers from 0 to n-1.
func all(n int) []int {
	which := make([]int, n)
	for i := range which {
		which[i] = i
	}
	return which
}

// choose returns which istiods are meant: those given, or all of them.
func (s *Sandbox) choose(which []int) ([]int, error) {
	have := len(s.Ports.istiods())
	if len(which) == 0 {
		return all(have), nil
	}
	for _, n := range which {
		if n < 0 || n >= have {
			return nil, fmt.Errorf("there is no istiod %d: the sandbox has %d", n, have)
		}
	}
	return which, nil
}

// KillIstiod ends all istiods as a crash would, or those of the given numbers (from 0), and returns when they are gone.
// Wait does not report it.
func (s *Sandbox) KillIstiod(ctx context.Context, which ...int) error {
	which, err := s.choose(which)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range which {
		i := slices.IndexFunc(s.processes, func(p *process.Process) bool { return p.Name == istiodName(n) })
		if i < 0 {
			continue
		}
		if err := s.processes[i].Kill(ctx); err != nil {
			return err
		}
		s.processes = slices.Delete(slices.Clone(s.processes), i, i+1)
	}
	return s.save()
}

// RestartIstiod ends all istiods that run, or those of the given numbers (from 0), starts them on the same ports, and
// returns when they are ready.
func (s *Sandbox) RestartIstiod(ctx context.Context, which ...int) error {
	which, err := s.choose(which)
	if err != nil {
		return err
	}
	if err := s.KillIstiod(ctx, which...); err != nil {
		return err
	}
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	c, err := newCluster(config)
	if err != nil {
		return err
	}
	if err := s.startIstiods(ctx, c, which); err != nil {
		return fmt.Errorf("restarting istiod: %w", err)
	}
	return nil
}

// startIstiods starts those istiods and returns when they serve XDS and the api-server can reach the injection webhook of
// the first. The first of them is ready before the others begin, so that they find the authority which it makes.
func (s *Sandbox) startIstiods(ctx context.Context, c *cluster, which []int) error {
	if err := s.writeIstiodCredentials(ctx, c); err != nil {
		return err
	}
	if err := s.startIstiod(ctx, which[0]); err != nil {
		return err
	}
	others, ctxOthers := errgroup.WithContext(ctx)
	for _, n := range which[1:] {
		others.Go(func() error { return s.startIstiod(ctxOthers, n) })
	}
	if err := others.Wait(); err != nil {
		return err
	}
	if which[0] != 0 || !slices.Contains(s.istiods[0].Env, "INJECTION_WEBHOOK_CONFIG_NAME="+injectorConfig) {
		return nil // another serves the webhook, or the user keeps istiod from it
	}
	ctx, cancel := context.WithTimeoutCause(ctx, webhookTimeout, fmt.Errorf("istiod has not written its authority there in %v", webhookTimeout))
	defer cancel()
	return c.awaitWebhook(ctx, injectorConfig)
}

// startIstiod starts the nth istiod and returns when it serves XDS.
func (s *Sandbox) startIstiod(ctx context.Context, n int) error {
	p, err := s.run(s.istiods[n])
	if err != nil {
		return err
	}
	ports := s.Ports.istiods()[n]
	client := loopbackClient("")
	err = await(ctx, p, func(ctx context.Context) error {
		_, err := get(ctx, client, "http://"+loopback(ports.HTTP)+"/ready")
		return err
	})
	if err != nil || n > 0 {
		return err
	}
	version, err := get(ctx, client, "http://"+loopback(ports.Monitoring)+"/version")
	if err != nil {
		return fmt.Errorf("asking istiod's version: %w", err)
	}
	if release := releaseOf(version); release != s.IstioVersion { // a restart writes nothing that others may be reading
		s.IstioVersion = release
	}
	return nil
}
