package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/sandbox/internal/build"
	"github.com/plscript/plscript/sandbox/internal/process"
)

// portAttempts is how often a start is tried when another program takes one of the chosen ports first.
const portAttempts = 3

// Start makes a private sandbox and returns when it is ready. Everything is built first if need be: see Config.Progress. The caller must
// Stop it. When ctx ends before the sandbox is ready, nothing of it is left behind; afterwards ctx has no meaning to it.
func Start(ctx context.Context, c Config) (*Sandbox, error) { return start(ctx, c, "") }

// Up makes a named sandbox, which outlives this process, and returns when it is ready. The error matches ErrExists when one of that name
// runs; one that has died is replaced. When ctx ends before the sandbox is ready, nothing of it is left behind.
func Up(ctx context.Context, name string, c Config) (*Sandbox, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	return start(ctx, c, name)
}

func start(ctx context.Context, c Config, name string) (*Sandbox, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	st := store{dir: c.StateDir}
	if _, err := st.sweep(ctx, c.Log); err != nil {
		return nil, err
	}
	dir, owner, err := st.claim(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{Info: Info{Name: name, Dir: dir, Created: time.Now(), Controllers: c.Controllers, Profile: c.Profile, Ambient: c.ambient()}, store: st, owner: owner}
	if name == "" {
		s.thread = process.NewThread()
	}
	if err := s.make(ctx, c); err != nil {
		return nil, errors.Join(err, s.Stop(ctx))
	}
	return s, nil
}

// make builds and starts everything.
func (s *Sandbox) make(ctx context.Context, c Config) error {
	if err := s.checkSocketPath(); err != nil {
		return err
	}
	parts, err := build.Ensure(ctx, c.buildOptions())
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := s.bringUp(ctx, c, parts)
		var ended *ProcessError
		if err == nil {
			break
		}
		if !errors.As(err, &ended) || !ended.portTaken() || attempt == portAttempts {
			return err
		}
		c.Log.Info("a port was taken by another program, trying others", "process", ended.Name)
		if err := s.reset(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	if err := s.save(); err != nil {
		return err
	}
	if s.Name != "" { // from now on its processes prove that it lives
		s.owner.Release()
		s.owner = nil
	}
	return nil
}

// bringUp starts the processes on ports of their own and fills the api-server.
func (s *Sandbox) bringUp(ctx context.Context, c Config, parts *build.Artifacts) error {
	var err error
	if s.Ports, err = choosePorts(c.Istiods); err != nil {
		return err
	}
	istio, err := parseObjects(parts.IstioObjects)
	if err != nil {
		return err
	}
	objects, err := sortRendered(istio, s.Ports.Webhook)
	if err != nil {
		return err
	}
	gateway, err := parseObjects(parts.GatewayCRDs)
	if err != nil {
		return err
	}
	if s.istiods, err = s.istiodSpecs(parts.Istiod, objects.istiod, c.IstiodEnv); err != nil {
		return err
	}
	if err := s.writeCredentials(); err != nil {
		return err
	}
	if err := c.stage("starting etcd", func() error { return s.startEtcd(ctx, parts.Etcd) }); err != nil {
		return err
	}
	if err := c.stage("starting kube-apiserver", func() error { return s.startAPIServer(ctx, parts.APIServer) }); err != nil {
		return err
	}
	if c.Controllers {
		if err := c.stage("starting kube-controller-manager", func() error { return s.startControllers(ctx, parts.ControllerManager) }); err != nil {
			return err
		}
	}
	return s.install(ctx, c, append(objects.apply, gateway...))
}

// install fills the api-server and starts istiod on it.
func (s *Sandbox) install(ctx context.Context, c Config, objects []*unstructured.Unstructured) error {
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	cluster, err := newCluster(config)
	if err != nil {
		return err
	}
	err = c.stage(fmt.Sprintf("applying %d objects of Istio and the Gateway API", len(objects)), func() error {
		if err := cluster.prepare(ctx); err != nil {
			return err
		}
		return cluster.apply(ctx, objects)
	})
	if err != nil {
		return err
	}
	return c.stage("starting istiod", func() error { return s.startIstiods(ctx, cluster, all(c.Istiods)) })
}

// reset undoes bringUp, so that it can be tried again.
func (s *Sandbox) reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := killAll(ctx, s.processes); err != nil {
		return err
	}
	s.processes = nil
	if err := os.RemoveAll(filepath.Join(s.Dir, "etcd-data")); err != nil {
		return fmt.Errorf("trying again: %w", err)
	}
	return nil
}
