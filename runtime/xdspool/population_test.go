package xdspool

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func podProxy(name string) runtime.Proxy {
	p := sidecar(name)
	p.Pod, p.IP = true, ""
	return p
}

func TestProxyLivesWithItsPod(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(podProxy("early"))
	f.until(t, runtime.Readings{"xds.desired": int64(1), "xds.open": int64(0)})
	f.PodRunning("ns/early", "10.0.0.3")
	early := f.server.accept(t)
	if id := early.next(t, cds).GetNode().GetId(); !strings.Contains(id, "~10.0.0.3~early.ns~") {
		t.Errorf("node id %q", id)
	}
	early.push(t, cds, nil)

	f.PodRunning("ns/late", "10.0.0.4")
	f.PodRunning("ns/late", "10.0.0.4") // a second report changes nothing
	f.Want(podProxy("late"))
	late := f.server.accept(t)
	if id := late.next(t, cds).GetNode().GetId(); !strings.Contains(id, "~10.0.0.4~late.ns~") {
		t.Errorf("node id %q", id)
	}
	late.push(t, cds, nil)
	f.until(t, runtime.Readings{"xds.desired": int64(2), "xds.open": int64(2)})

	f.PodGone("ns/late")
	late.gone(t)
	f.until(t, runtime.Readings{"xds.desired": int64(2), "xds.open": int64(1), "xds.disconnects": int64(0)})
	f.PodRunning("ns/late", "10.0.0.5") // a pod of the same name again, as a StatefulSet's
	f.server.accept(t).next(t, cds)
	f.PodRunning("ns/late", "10.0.0.6") // and again, without word of the end of the one before
	s := f.server.accept(t)
	if id := s.next(t, cds).GetNode().GetId(); !strings.Contains(id, "~10.0.0.6~") {
		t.Errorf("node id %q", id)
	}
}

func TestForgottenProxyStaysUntilItsPodIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.PodRunning("ns/p", "10.0.0.3")
	f.Want(podProxy("p"))
	s := f.server.accept(t)
	s.sidecar(t, nil)
	f.until(t, runtime.Readings{"xds.desired": int64(1), "xds.synced": int64(1)})
	f.Forget("ns/p")
	f.Forget("ns/p")
	f.until(t, runtime.Readings{"xds.desired": int64(0), "xds.open": int64(1), "xds.synced": int64(0)})
	f.PodGone("ns/p")
	s.gone(t)
	f.until(t, runtime.Readings{"xds.open": int64(0), "xds.disconnects": int64(0)})
	if l := f.List(); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
	f.PodRunning("ns/p", "10.0.0.3") // of no concern any more
	if l := f.List(); len(l) != 0 {
		t.Errorf("came back: %v", l)
	}
}

func TestForgottenProxyWithoutPodLeavesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := runtime.Proxy{Class: runtime.ClassClient, Namespace: "ns", Name: "c"}
	f.Want(p)
	s := f.server.accept(t)
	if id := s.next(t, cds).GetNode().GetId(); id != "sidecar~192.0.2.1~c.ns~ns.svc.cluster.local" {
		t.Errorf("node id %q", id)
	}
	f.Forget(p.Key())
	s.gone(t)
	f.until(t, runtime.Readings{"xds.client.desired": int64(0), "xds.disconnects": int64(0)})
}

func TestWantBeforeRunAndClose(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := New(Config{Addresses: []string{s.address}, Clock: newClock()})
	p.Want(sidecar("p"))
	p.Close() // not running: nothing to do
	done := make(chan error)
	go func() { done <- p.Run(t.Context()) }()
	ses := s.accept(t)
	ses.next(t, cds)
	p.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	ses.gone(t)
	p.Want(sidecar("q")) // harmless
	if err := p.Run(t.Context()); err == nil {
		t.Error("a pool ran twice")
	}
	if err := New(Config{Clock: newClock()}).Run(t.Context()); err == nil {
		t.Error("a pool ran without addresses")
	}
}

func TestRefusedConnectsAreCountedAndTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	for range 3 {
		f.server.accept(t).end <- errRefused
	}
	s := f.server.accept(t)
	s.sidecar(t, nil)
	f.until(t, runtime.Readings{
		"xds.synced": int64(1), "xds.rejected": int64(3), "xds.sidecar.rejected": int64(3), "xds.disconnects": int64(0),
	})
	if r := f.places[0].all[0].pace.rate; r >= initialRate {
		t.Errorf("rate is %v after refusals", r)
	}
}

func TestConnectsTakeTurnsOverAddresses(t *testing.T) {
	t.Parallel()
	second := newServer(t)
	f := newFixture(t, func(c *Config) { c.Addresses = append(c.Addresses, second.address) })
	for _, name := range []string{"a", "b", "c", "d"} {
		f.Want(sidecar(name))
	}
	for _, s := range []*server{f.server, second, f.server, second} {
		s.accept(t)
	}
}

// A name that stands for several istiods is looked up when a proxy comes back, and the streams go to those that are there.
func TestNameStandsForSeveralIstiods(t *testing.T) {
	t.Parallel()
	var names atomic.Pointer[[]string]
	names.Store(&[]string{"127.0.0.1", "localhost"})
	lookups := atomic.Int64{}
	f := newFixture(t, func(c *Config) {
		_, port, err := net.SplitHostPort(c.Addresses[0])
		if err != nil {
			t.Fatal(err)
		}
		c.Addresses = []string{net.JoinHostPort("istiod.test", port)}
		c.Lookup = func(_ context.Context, host string) ([]string, error) {
			if lookups.Add(1); host != "istiod.test" {
				return nil, errors.New("no such host")
			}
			return *names.Load(), nil
		}
	})
	var streams []*session
	for _, name := range []string{"a", "b", "c"} {
		f.Want(sidecar(name))
		s := f.server.accept(t)
		s.sidecar(t, nil)
		streams = append(streams, s)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(3), "xds.istiods": int64(2), "xds.mostPerIstiod": int64(2), "xds.leastPerIstiod": int64(1)})
	if n := lookups.Load(); n != 1 {
		t.Errorf("%d lookups within their age", n)
	}
	names.Store(&[]string{"localhost"})
	f.clock.Advance(lookupAge)
	for _, s := range streams {
		s.end <- status.Error(codes.Unavailable, "moved")
	}
	for range streams {
		s := f.server.accept(t)
		s.next(t, cds)
		s.next(t, lds)
		s.push(t, cds, nil)
		s.push(t, lds, nil)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(3), "xds.istiods": int64(1), "xds.mostPerIstiod": int64(3), "xds.leastPerIstiod": int64(3)})
	if got := f.Addresses(); len(got) != 1 || !strings.HasPrefix(got[0].Address, "localhost:") || got[0].Open != 3 {
		t.Errorf("addresses %v", got)
	}
}

func TestPacer(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := newPacer(clock, 0, nil)
	start := clock.Now()
	for range 41 {
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := clock.Now().Sub(start); got != 2*time.Second {
		t.Errorf("41 connects took %v, want 2s", got)
	}
	for range 20 {
		p.admitted()
	}
	if p.rate < 20.4 || p.rate > 20.6 {
		t.Errorf("rate %v after a second of admissions", p.rate)
	}
	before := p.rate
	p.refused()
	p.refused() // of the same congestion
	if math.Abs(p.rate-before*rateCut) > 0.01 {
		t.Errorf("rate %v after a congestion at %v", p.rate, before)
	}
	for range 100 {
		clock.Advance(cutInterval)
		p.refused()
	}
	if p.rate != minRate {
		t.Errorf("rate %v, want the least", p.rate)
	}
	fixed := newPacer(clock, 7, nil)
	fixed.refused()
	fixed.admitted()
	if fixed.rate != 7 {
		t.Errorf("a fixed rate became %v", fixed.rate)
	}
}

// TestConnectsAreHeld: who waits for its turn behind a held connect waits too, and one that may not connect stays away.
func TestConnectsAreHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan error)
		p := newPacer(runtimetest.Clock{}, 1000, func(ctx context.Context) error { return <-release })
		var through atomic.Int64
		results := make(chan error, 3)
		for range 3 {
			go func() {
				err := p.wait(t.Context())
				through.Add(1)
				results <- err
			}()
		}
		synctest.Wait()
		if n := through.Load(); n != 0 {
			t.Errorf("%d connect while they are held", n)
		}
		refused := errors.New("refused")
		release <- nil
		release <- refused
		release <- nil
		var failed int
		for range 3 {
			if err := <-results; errors.Is(err, refused) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		if failed != 1 {
			t.Errorf("%d were refused, want 1", failed)
		}
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	cfg := New(Config{
		IstioVersion: "1.31.0",
		Metadata:     map[string]any{"NAME": "usurper", "INTERCEPTION_MODE": "TPROXY", "DNS_CAPTURE": "false"},
	}).cfg
	p := runtime.Proxy{
		Class: runtime.ClassGateway, Namespace: "ns", Name: "gw-1", IP: "10.1.2.3", Node: "n1", ServiceAccount: "sa", App: "gw",
		Labels: map[string]string{"app": "gw"}, Zone: "z", Region: "r",
		Metadata: map[string]string{"OWN": "x", "DNS_CAPTURE": "true", "NAMESPACE": "usurped"},
	}
	n, err := cfg.node(p)
	if err != nil {
		t.Fatal(err)
	}
	if n.Id != "router~10.1.2.3~gw-1.ns~ns.svc.cluster.local" || n.Cluster != "gw.ns" || n.Locality.Zone != "z" || n.Locality.Region != "r" {
		t.Errorf("node %v", n)
	}
	meta := n.Metadata.AsMap()
	delete(meta, "PROXY_CONFIG")
	want := map[string]any{
		"NAME": "gw-1", "NAMESPACE": "ns", "SERVICE_ACCOUNT": "sa", "NODE_NAME": "n1", "WORKLOAD_NAME": "gw",
		"OWNER": "kubernetes://apis/apps/v1/namespaces/ns/deployments/gw", "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": "10.1.2.3",
		"LABELS": map[string]any{"app": "gw"}, "ISTIO_VERSION": "1.31.0", "MESH_ID": "cluster.local", "DNS_CAPTURE": "true",
		"INTERCEPTION_MODE": "TPROXY", "ENVOY_STATUS_PORT": 15021., "ENVOY_PROMETHEUS_PORT": 15090.,
		"PILOT_SAN": []any{"istiod.istio-system.svc"}, "METADATA_DISCOVERY": "false", "OWN": "x",
	}
	if d := cmp.Diff(want, meta); d != "" {
		t.Errorf("metadata (-want +got):\n%s", d)
	}
	if cfg.Metadata["NAME"] != "usurper" {
		t.Error("the configuration was changed")
	}
	cfg.Metadata = map[string]any{"BAD": func() {}}
	if _, err := cfg.node(p); err == nil {
		t.Error("metadata that is no JSON was accepted")
	}
}

func TestGarbageEndsTheStream(t *testing.T) {
	t.Parallel()
	if !benign(status.Error(codes.Unknown, "")) || benign(errRefused) {
		t.Error("benign is wrong")
	}
	var r response
	for _, b := range []string{"\xff", "\x12\xff\xff\xff\xff\x0f", "\x12\x00", "\x2a\x02\xff\xfe", "\x0b\x0c"} {
		if err := r.scan([]byte(b), false); err == nil && readable(&r) {
			t.Errorf("%q was accepted", b)
		}
	}
}

// readable reports whether every resource of r can be looked into.
func readable(r *response) bool {
	for i := range r.raw {
		if _, err := r.resource(i); err != nil {
			return false
		}
	}
	return true
}
