package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/report"
)

// exporter serves a run's measures to Prometheus.
type exporter struct {
	*report.Exporter
	server *http.Server
}

// newExporter listens where --metrics-address says; nil without it.
func (r *session) newExporter(ctx context.Context) (*exporter, error) {
	if r.opt.metrics == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.opt.metrics)
	if err != nil {
		return nil, usage("--metrics-address: %v", err)
	}
	e := &exporter{Exporter: report.NewExporter(r.info())}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e)
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	r.parts.Go(func() {
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.log.Warn("the measures are not served any more", "error", err)
		}
	})
	r.log.Info("measures are served", "url", "http://"+listener.Addr().String()+"/metrics")
	return e, nil
}

// tick is told of new readings.
func (r *session) tick(readings runtime.Readings) {
	r.progress.Tick(readings)
	if r.exporter != nil {
		r.exporter.Tick(readings)
	}
}

// closeExporter stops serving, when the last readings are in the report.
func (r *session) closeExporter() {
	if r.exporter != nil {
		_ = r.exporter.server.Close()
	}
}
