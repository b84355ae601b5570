// Package gateway is a small HTTP gateway that istiod configures: the ingress of a sandbox, where no Envoy runs. It knows
// istiod's address and its own node ID, and everything else comes from real LDS, RDS, CDS and EDS.
//
// It serves the routes of all of its plaintext HTTP listeners on one address, by virtual host, path, headers and query;
// it answers direct responses and redirects itself, and passes other requests on to the endpoints that istiod names.
// In a sandbox the endpoints are pods that nobody runs: then it says 503, and in a header where the request would have
// gone. TLS listeners, filters other than the router, retries and timeouts of routes are not its business.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config sets up a gateway.
type Config struct {
	Istiod string       // istiod's plaintext XDS port, host:port
	Node   string       // the node ID: "router~IP~pod.namespace~namespace.svc.cluster.local"
	Listen net.Listener // where HTTP comes in; Run closes it
	Log    *slog.Logger // may be nil
}

// Gateway is one gateway.
type Gateway struct {
	cfg   Config
	table atomic.Pointer[table] // nil until istiod has answered
	turns atomic.Uint64         // requests passed on so far: endpoints take turns
	via   http.RoundTripper
}

// New checks cfg and returns its gateway.
func New(cfg Config) (*Gateway, error) {
	if cfg.Istiod == "" || cfg.Node == "" || cfg.Listen == nil {
		return nil, errors.New("gateway: istiod's address, a node ID and a listener are needed")
	}
	if _, err := node(cfg.Node); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Gateway{cfg: cfg, via: &http.Transport{
		DialContext:     (&net.Dialer{Timeout: connectTimeout}).DialContext,
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 16,
	}}, nil
}

// connectTimeout bounds the connect to an endpoint. Envoy's default in a mesh is 10 s (Istio meshConfig.connectTimeout);
// the endpoints of a sandbox are nobody's addresses, and a probe should not wait for them.
const connectTimeout = time.Second

// shutdownTimeout is how long requests under way may take when the gateway ends.
const shutdownTimeout = 2 * time.Second

// Run serves until ctx is done. It connects to istiod again when it loses it, and serves on by what it knows.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelDebug)}
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { g.follow(ctx) })
	parts.Go(func() {
		<-ctx.Done()
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer stop()
		_ = server.Shutdown(end) // what is still under way is cut off
	})
	err := server.Serve(g.cfg.Listen)
	cancel()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("gateway: %w", err)
}

// The pauses between connects: Envoy's jittered 0.5 to 30 s, but shorter, as there is one gateway and not a fleet.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 5 * time.Second
)

// follow keeps a stream to istiod open.
func (g *Gateway) follow(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		answered, err := g.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		g.cfg.Log.Warn("lost istiod", "istiod", g.cfg.Istiod, "error", err)
		if answered {
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longPause)
	}
}
