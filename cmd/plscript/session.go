package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/cluster"
	"github.com/plscript/plscript/runtime/istiod"
	"github.com/plscript/plscript/runtime/kubeview"
	"github.com/plscript/plscript/runtime/report"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/auth"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
)

// session is one run of one scenario.
type session struct {
	*system
	*loaded
	opt runOptions

	id       string
	started  time.Time
	dir      string // of the reports
	log      *slog.Logger
	progress *report.Progress
	target   *target

	controllers bool // the target has controllers of its own

	signal  *runtime.Signal
	writer  *apiwriter.Writer
	pool    *xdspool.Pool
	cluster *cluster.Cluster
	auth    *auth.Authenticator // nil for plaintext
	view    *kubeview.View
	pods    *kubeview.Pods
	meter   istiod.FleetMeter
	self    *report.SelfMeter
	auditor *oracle.Auditor // nil unless the scenario wants it
	stages  *runtime.Stages
	asks    asks
	journal *os.File
	parts   sync.WaitGroup // what runs beside the graph

	exporter *exporter // nil without --metrics-address

	mu         sync.Mutex
	sync       []report.SyncCheck
	oracle     []report.OracleCheck
	istiods    []report.Istiod // when the last phase ended
	shared     bool            // istiod serves others as well
	gatewayIDs []string        // of gateway processes, as syncz lists them
}

// runOne runs a scenario from target to cleanup and prints the verdict. The error is one that the verdict does not show.
func (s *system) runOne(ctx context.Context, l *loaded, opt runOptions) (runtime.ExitCode, error) {
	r := &session{system: s, loaded: l, opt: opt, id: newRunID(time.Now()), started: time.Now(), signal: &runtime.Signal{}}
	r.stages = &runtime.Stages{Notify: r.signal}
	s.tuneGC()
	fmt.Fprintf(s.stdout, "run %s  %s\n", r.id, l.scenario.File)
	r.dir = filepath.Join(opt.out, l.scenario.Name+"-"+r.id)
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return runtime.ExitUsage, fmt.Errorf("--out: %w", err)
	}
	var err error
	if r.target, err = s.openTarget(ctx, opt, l.scenario.Sandbox, r.id); err != nil {
		return r.unstarted(ctx, runtime.ExitTarget, err)
	}
	if err := r.ready(ctx); err != nil {
		return r.unstarted(ctx, runtime.ExitTarget, errors.Join(err, r.target.close(context.WithoutCancel(ctx))))
	}
	out, err := r.execute(ctx)
	if err != nil {
		return r.unstarted(ctx, runtime.ExitTarget, errors.Join(err, r.target.close(context.WithoutCancel(ctx))))
	}
	cleanup := r.cleanUp(context.WithoutCancel(ctx))
	return r.finish(out, cleanup)
}

// ready finds out whether the target is fit for the run, before anything is written or opened.
func (r *session) ready(ctx context.Context) error {
	if err := r.needsAPI(); err != nil {
		return err
	}
	if err := r.checkMode(ctx); err != nil {
		return err
	}
	r.tellUnused()
	if err := r.checkProfile(); err != nil {
		return err
	}
	if err := r.preflight(ctx); err != nil {
		return err
	}
	if err := r.reach(ctx); err != nil {
		return err
	}
	var err error
	if r.auth, err = r.newAuth(newJitter()); err != nil {
		return err
	}
	r.shared = r.sharesIstiod(ctx)
	return r.welcome(ctx)
}

// sharesIstiod reports whether istiod may serve proxies of others beside those of the run. One that the preflight has
// looked at does not.
func (r *session) sharesIstiod(ctx context.Context) bool {
	if r.target.private || r.plansWrites() || r.target.istiod == nil {
		return false
	}
	proxies, err := r.target.fleet().Syncz(ctx)
	return err != nil || len(proxies) > 0
}

// unstarted ends a run that never got to its first step.
func (r *session) unstarted(ctx context.Context, code runtime.ExitCode, err error) (runtime.ExitCode, error) {
	_ = os.Remove(r.dir) // only if nothing was written
	if interrupted(ctx) {
		return runtime.ExitInterrupted, runtime.ErrInterrupted
	}
	return code, err
}

// newRunID is a label value that sorts by time: "20060102-150405-k3x9".
func newRunID(now time.Time) string {
	return now.UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:4])
}

// execute puts the parts together, runs the graph and takes the parts down again.
func (r *session) execute(ctx context.Context) (*runtime.Outcome, error) {
	r.newProgress()
	defer r.progress.Close()
	if err := r.newParts(ctx); err != nil {
		return nil, err
	}
	defer r.asks.close()
	if err := r.certify(ctx); err != nil {
		return nil, err
	}
	var err error
	if r.exporter, err = r.newExporter(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The cluster's half and the streams outlive an interrupt, as the cleanup needs them.
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	if r.hasAPI() {
		r.parts.Go(func() { r.report("cluster", r.cluster.Run(beside), cancel) })
		r.parts.Go(func() { r.writer.Tidy(beside) })
	}
	r.parts.Go(func() { r.report("xds pool", r.pool.Run(beside), cancel) })
	if r.meter != nil {
		r.parts.Go(func() { r.meter.Run(beside) })
	}
	if r.auth != nil {
		r.parts.Go(func() { r.report("credentials", r.auth.Run(beside), cancel) })
	}
	if box := r.target.box; box != nil {
		r.parts.Go(func() { r.report("sandbox", box.Wait(beside), cancel) })
	}
	out := r.graph.Run(ctx, r.runtimeParts())
	if r.view != nil {
		r.view.Close()
	}
	r.pool.Close()
	stop()
	r.closeExporter()
	r.parts.Wait()
	return out, nil
}

// targetError is a part of the target that failed under a run.
type targetError struct{ error }

func (targetError) ExitCode() runtime.ExitCode { return runtime.ExitTarget }

// report ends the run when one of the parts beside it fails.
func (r *session) report(part string, err error, cancel context.CancelCauseFunc) {
	if err != nil && !errors.Is(err, context.Canceled) {
		cancel(targetError{fmt.Errorf("%s: %w", part, err)})
	}
}

// results is where lines about what is measured go, but for a terminal that shows the progress as well.
func (r *session) results() io.Writer {
	if r.outTTY && r.errTTY {
		return nil
	}
	return r.stdout
}

func (r *session) newProgress() {
	var phases []string
	for _, p := range r.scenario.Phases {
		phases = append(phases, p.Name)
	}
	r.progress = report.NewProgress(report.ProgressConfig{
		Out: r.stderr, Clock: wallClock{}, Live: r.errTTY && !r.opt.quiet, Color: r.color(r.errTTY), Quiet: r.opt.quiet,
		Width: terminalWidth, Phases: phases, Results: r.results(),
	})
	opt := &slog.HandlerOptions{Level: r.opt.level}
	var h slog.Handler = slog.NewTextHandler(r.progress, opt)
	if r.opt.jsonLogs {
		h = slog.NewJSONHandler(r.progress, opt)
	}
	r.log = slog.New(h).With("run", r.id)
	if r.opt.level <= slog.LevelDebug {
		klog.SetSlogLogger(r.log)
	}
}

// quietClientGo keeps client-go from writing past the progress to stderr: what it logs are requests that are tried again or
// were interrupted, worth reading only by who debugs a run.
func quietClientGo() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) }

// finish writes the reports and prints the verdict.
func (r *session) finish(out *runtime.Outcome, cleanup error) (runtime.ExitCode, error) {
	rep := report.Build(report.Input{
		Info: r.info(), Outcome: out, Plan: report.PlannedWrites(r.loaded.plan), Writes: r.writes(), Sync: r.sync,
		Oracle: r.oracle, Istiods: r.istiods, Cleanup: cleanup,
	})
	if err := errors.Join(r.closeWriter(), r.journal.Close(), r.writeFiles(rep)); err != nil {
		rep.Fail(err)
	}
	err := rep.WriteText(r.stdout, report.TextOptions{Width: terminalWidth(), Color: r.color(r.outTTY), Where: r.dir})
	r.sayKept()
	return runtime.ExitCode(rep.Verdict.Exit), err
}

// writeFiles writes the reports. A file that cannot be written whole is removed: half a report would be believed.
func (r *session) writeFiles(rep *report.Report) error {
	var names []string
	err := rep.WriteFiles(func(name string) (io.WriteCloser, error) {
		names = append(names, filepath.Join(r.dir, name))
		return os.Create(filepath.Join(r.dir, name))
	})
	if err != nil {
		for _, n := range names {
			err = errors.Join(err, os.Remove(n))
		}
	}
	return err
}

func (r *session) info() report.Info {
	info := report.Info{
		ID: r.id, Scenario: r.scenario.Name, Description: r.scenario.Description, File: r.scenario.File, Seed: r.scenario.Seed,
		Target: r.target.about, Version: version(), IstiodVersion: r.target.version, Command: r.command,
	}
	for _, p := range r.scenario.Params {
		info.Params = append(info.Params, report.Param{Name: p.Name, Value: p.Value})
	}
	return info
}

func (r *session) writes() []report.Write {
	if !r.hasAPI() {
		return nil
	}
	var out []report.Write
	for _, row := range r.writer.Stats().Rows {
		out = append(out, report.Write{
			Group: row.Group, Kind: row.Kind, Verb: string(row.Verb), Done: row.Done, Superseded: row.Superseded, Failed: row.Failed, Dropped: row.Dropped, Stored: row.Stored,
			Requests: row.Requests, Retries: row.Retries,
			Latency: report.Quantile{P50: report.Seconds(row.P50), P90: report.Seconds(row.P90), P99: report.Seconds(row.P99), Max: report.Seconds(row.Max)},
		})
	}
	return out
}

func (r *session) sayKept() {
	if !r.opt.keep || r.target.box == nil {
		return
	}
	name := r.target.box.Name
	fmt.Fprintf(r.stdout, "\nkept: sandbox %s\n  use it:  eval \"$(plscript sandbox env %s)\"\n  stop it: plscript sandbox down %s\n", name, name, name)
}
