package istiod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// staleAfter is how many intervals a scrape stays valid. One lost scrape of a busy istiod is no reason to have no data;
// an istiod that has said nothing for this long is, for its memory is no longer known.
const staleAfter = 5

// MeterConfig sets up a [Meter]. Client, Interval and Clock are needed.
type MeterConfig struct {
	Client   *Client
	Interval time.Duration // between scrapes, and the longest that one may take; above zero
	Clock    runtime.Clock
	Notify   runtime.Notifier // told after each scrape; may be nil
	Log      *slog.Logger     // told when scrapes begin to fail and when they work again; may be nil
}

// Meter sets istiod.cpu and istiod.rss from periodic scrapes. CPU counts from the first scrape and goes on counting
// when istiod restarts. Before the first scrape, and when the last one is five intervals old, there is no data.
type Meter struct {
	cfg MeterConfig

	mu      sync.Mutex
	scraped time.Time // when the last good scrape was made; zero if there was none
	rawCPU  float64   // the process's own counter, to take differences
	cpu     float64   // CPU seconds since the first scrape
	rss     int64
	metrics Metrics // of the last good scrape
	failing bool
}

// NewMeter returns a meter that scrapes nothing until [Meter.Run] or [Meter.Scrape].
func NewMeter(cfg MeterConfig) (*Meter, error) {
	if cfg.Client == nil || cfg.Clock == nil || cfg.Interval <= 0 {
		return nil, errors.New("istiod meter: needs a client, a clock and an interval above zero")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Meter{cfg: cfg}, nil
}

// Run scrapes at once and then every interval, until ctx is done. A failed scrape is logged and tried again.
func (m *Meter) Run(ctx context.Context) {
	for {
		if err := m.Scrape(ctx); ctx.Err() == nil {
			m.logChange(err)
		}
		if m.cfg.Clock.Sleep(ctx, m.cfg.Interval) != nil {
			return
		}
	}
}

// Scrape reads istiod now. Called before the load starts it fixes where CPU counts from; called after the load it makes
// the last readings fresh.
func (m *Meter) Scrape(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Interval)
	defer cancel()
	metrics, err := m.cfg.Client.Metrics(ctx)
	if err != nil {
		return err
	}
	cpu, okCPU := metrics.CPUSeconds()
	rss, okRSS := metrics.ResidentBytes()
	if !okCPU || !okRSS {
		return fmt.Errorf("%s/metrics has no process_cpu_seconds_total or process_resident_memory_bytes", m.cfg.Client.base)
	}
	m.record(cpu, rss, metrics)
	if m.cfg.Notify != nil {
		m.cfg.Notify.Notify()
	}
	return nil
}

func (m *Meter) record(cpu float64, rss int64, metrics Metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.scraped.IsZero():
	case cpu < m.rawCPU: // the counter began anew: istiod has restarted
		m.cpu += cpu
	default:
		m.cpu += cpu - m.rawCPU
	}
	m.rawCPU, m.rss, m.metrics, m.scraped = cpu, rss, metrics, m.cfg.Clock.Now()
}

// logChange says when scrapes begin to fail and when they work again, not each time.
func (m *Meter) logChange(err error) {
	m.mu.Lock()
	changed := m.failing != (err != nil)
	m.failing = err != nil
	m.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		m.cfg.Log.Warn("cannot read istiod's metrics", "error", err)
	default:
		m.cfg.Log.Info("reading istiod's metrics again")
	}
}

// Read implements [runtime.Meter].
func (m *Meter) Read(r runtime.Readings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stale() {
		return
	}
	r["istiod.cpu"] = m.cpu
	r["istiod.rss"] = m.rss
}

// Metric implements [runtime.Metrics] from the last scrape.
func (m *Meter) Metric(name string, labels map[string]string) (float64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stale() {
		return 0, false
	}
	return m.metrics.Sum(name, labels)
}

// stale reports whether the last good scrape, if there was one, is too old to go by.
func (m *Meter) stale() bool {
	return m.scraped.IsZero() || m.cfg.Clock.Now().Sub(m.scraped) > staleAfter*m.cfg.Interval
}
