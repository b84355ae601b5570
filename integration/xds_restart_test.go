package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
	"github.com/plscript/plscript/runtime/xdspool"
)

// backoffClock notes how long its users sleep.
type backoffClock struct {
	runtimetest.Clock
	mu     sync.Mutex
	sleeps []time.Duration
}

func (c *backoffClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.sleeps = append(c.sleeps, d)
	c.mu.Unlock()
	return c.Clock.Sleep(ctx, d)
}

// TestIstiodIsKilled kills istiod under 200 proxies and starts it again: all come back by themselves, with Envoy's backoff.
func TestIstiodIsKilled(t *testing.T) {
	const proxies = 200
	box := sharedSandbox(t)
	clock, signal := &backoffClock{}, make(wake, 1)
	pool := xdspool.New(xdspool.Config{Addresses: []string{box.XDSAddress()}, Clock: clock, Notify: signal})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	for i := range proxies {
		pool.Want(runtime.Proxy{
			Class: runtime.ClassClient, Namespace: "default", Name: fmt.Sprint("proxy-", i), IP: fmt.Sprintf("10.200.0.%d", i+1),
		})
	}
	signal.until(t, pool, runtime.Readings{"xds.synced": int64(proxies)})
	if err := box.KillIstiod(t.Context()); err != nil {
		t.Fatal(err)
	}
	signal.until(t, pool, runtime.Readings{"xds.open": int64(0), "xds.disconnects": int64(proxies)})
	if err := box.RestartIstiod(t.Context()); err != nil {
		t.Fatal(err)
	}
	signal.until(t, pool, runtime.Readings{
		"xds.synced": int64(proxies), "xds.open": int64(proxies), "xds.reconnects": int64(proxies), "xds.disconnects": int64(proxies),
	})
	clock.mu.Lock()
	defer clock.mu.Unlock()
	for _, d := range clock.sleeps {
		if d < 0 || d > 30*time.Second {
			t.Errorf("a backoff of %v is not Envoy's", d)
		}
	}
	if len(clock.sleeps) < proxies {
		t.Errorf("%d proxies slept %d times", proxies, len(clock.sleeps))
	}
}

// wake is told when readings may have changed.
type wake chan struct{}

// Notify implements [runtime.Notifier].
func (w wake) Notify() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// until waits until the pool's readings are as wanted.
func (w wake) until(t *testing.T, pool *xdspool.Pool, want runtime.Readings) {
	t.Helper()
	late := time.After(patience)
	for {
		got, differs := runtime.Readings{}, false
		pool.Read(got)
		for path, v := range want {
			differs = differs || got[path] != v
		}
		if !differs {
			return
		}
		select {
		case <-w:
		case <-late:
			t.Fatalf("want %v, have %v", want, got)
		}
	}
}
