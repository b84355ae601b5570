package main

import (
	"context"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/runtime/kubeview"
	"github.com/plscript/plscript/runtime/report"
	"github.com/plscript/plscript/runtime/xdspool"
)

// newParts makes the parts of a run. Those that the target has no use for are absent.
func (r *session) newParts(ctx context.Context) error {
	var err error
	if r.journal, err = os.OpenFile(filepath.Join(r.dir, "journal.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return err
	}
	clock := wallClock{}
	if err := r.newAsks(); err != nil {
		return err
	}
	pool, err := r.poolConfig()
	if err != nil {
		return err
	}
	r.pool = xdspool.New(pool)
	r.auditor = r.newAuditor()
	if r.hasAPI() {
		if err := r.newClusterParts(ctx); err != nil {
			return err
		}
	}
	if r.self, err = newSelfMeter(clock); err != nil {
		return err
	}
	if r.target.istiod != nil {
		r.meter, err = r.target.fleet().NewMeter(istiod.MeterConfig{
			Interval: time.Second, Clock: clock, Notify: r.signal, Log: r.log,
		})
	}
	return err
}

// newJitter is for the jitter of retries and backoffs: no figure and no planned operation depends on it.
func newJitter() *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
}

// hasAPI reports whether the target has an api-server. Of some, only istiod's address is known.
func (r *session) hasAPI() bool { return r.target.rest != nil }

// newClusterParts makes the parts that work through the api-server.
func (r *session) newClusterParts(ctx context.Context) error {
	clock := wallClock{}
	var err error
	if r.writer, err = apiwriter.New(apiwriter.Config{
		REST: r.target.rest, RunID: r.id, Scenario: r.scenario.Name, QPS: r.opt.target.qps, MaxPending: 2 * r.scenario.MaxPending,
		Store: r.store(), Journal: r.journal, Clock: clock, Rand: newJitter(), Notify: r.signal, Log: r.log,
	}); err != nil {
		return err
	}
	if err := r.newCluster(); err != nil {
		return err
	}
	if r.view, err = kubeview.New(r.target.rest, r.signal); err != nil {
		return err
	}
	r.pods, err = kubeview.NewPods(r.target.rest)
	return err
}

// store is the way past the api-server, which only a sandbox has.
func (r *session) store() *apiwriter.Store {
	if r.target.box == nil || r.opt.writer == writerAPI {
		return nil
	}
	return &apiwriter.Store{Endpoint: r.target.box.EtcdEndpoint(), Always: r.opt.writer == writerStore, Kubelet: r.startPod}
}

func newSelfMeter(clock runtime.Clock) (*report.SelfMeter, error) {
	usage, err := report.ProcessUsage(int32(os.Getpid()))
	if err != nil {
		return nil, err
	}
	return report.NewSelfMeter(clock, usage)
}

// runtimeParts are the parts as the graph sees them.
func (r *session) runtimeParts() runtime.Parts {
	p := runtime.Parts{
		RunID: r.id, Clock: wallClock{}, Proxies: r.pool, Changes: r.pool, Meters: []runtime.Meter{r.pool, r.self},
		Stages: r.stages, Services: r.services(),
		Signal: r.signal, Observer: r.progress, Tick: r.tick, Log: r.log, PhaseEnded: r.phaseEnded,
	}
	if r.hasAPI() {
		p.Writer, p.Objects = r.cluster.Writer(), r.view
		p.Meters = append(p.Meters, r.writer, r.cluster)
	}
	if r.auditor != nil {
		p.Meters = append(p.Meters, r.auditor)
	}
	if r.meter != nil {
		p.Meters, p.Metrics = append(p.Meters, r.meter), r.meter
	}
	return p
}

// services are what the target offers to actions besides the writer and the proxies.
func (r *session) services() runtime.Services {
	s := runtime.Services{Files: outputs{r.dir}, Certificates: r.asks.certificates, Results: r.progress, Demands: r.pool}
	if r.asks.injector != nil {
		s.Injector = r.asks.injector
	}
	if r.hasAPI() {
		s.Pods, s.Readiness = r.pods, r.cluster
		s.Dumps = dumps{&dumper{target: r.target, metadata: r.opt.target.metadata, insecure: r.opt.target.insecure, admin: dumpAdminPort, log: r.log}, r.dir}
	}
	if box := r.target.box; box != nil {
		s.Gateways = gateways{r, box.XDSAddress()}
	}
	if r.target.istiod != nil {
		for _, c := range r.target.fleet() {
			s.Istiods = append(s.Istiods, c)
		}
	}
	return s
}

// closeWriter closes the writer of a target that has one.
func (r *session) closeWriter() error {
	if r.writer == nil {
		return nil
	}
	return r.writer.Close()
}
