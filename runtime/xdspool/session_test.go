package xdspool

import (
	"slices"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

type resources = []*discovery.Resource

const (
	hostA = "a.ns.svc.cluster.local"
	edsA  = "outbound|80||" + hostA
	edsA2 = "outbound|443||" + hostA
	edsB  = "outbound|80||b.ns.svc.cluster.local"
)

func TestSubscriptionOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)

	first := s.next(t, cds)
	if got, want := first.GetNode().GetId(), "sidecar~10.0.0.1~p.ns~ns.svc.cluster.local"; got != want {
		t.Errorf("node id %q, want %q", got, want)
	}
	if len(first.ResourceNamesSubscribe) != 0 || first.InitialResourceVersions != nil {
		t.Errorf("first request is not a plain wildcard: %v", first)
	}
	nonce := s.send(t, cds, resources{edsCluster(edsA), staticCluster("static"), edsCluster(edsB)})
	if req := s.names(t, eds, []string{edsA, edsB}, nil); req.Node != nil {
		t.Error("the node was sent twice")
	}
	s.ack(t, cds, nonce)
	f.until(t, runtime.Readings{"xds.open": int64(1), "xds.synced": int64(0)})

	s.push(t, eds, resources{assignment(edsA, "10.0.0.7")})
	f.until(t, runtime.Readings{"xds.eds.responses": int64(1), "xds.synced": int64(0)}) // b is not answered yet
	s.push(t, eds, resources{assignment(edsB)})
	if req := s.next(t, lds); len(req.ResourceNamesSubscribe) != 0 {
		t.Errorf("LDS asks for names: %v", req)
	}
	nonce = s.send(t, lds, resources{httpListener("l1", "80", "shared"), httpListener("l2", "shared")})
	s.names(t, rds, []string{"80", "shared"}, nil)
	s.ack(t, lds, nonce)
	f.until(t, runtime.Readings{"xds.synced": int64(0)})
	s.push(t, rds, resources{routes("80"), routes("shared")})
	f.until(t, runtime.Readings{
		"xds.desired": int64(1), "xds.open": int64(1), "xds.synced": int64(1), "xds.sidecar.synced": int64(1),
		"pushes.responses": int64(5), "pushes.resources": int64(9), "pushes.wasted": int64(0),
	})
}

func TestNothingToSubscribeToCountsAsAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.sidecar(t, nil)
	f.until(t, runtime.Readings{"xds.synced": int64(1)})
}

func TestNamesFollowReferences(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.sidecar(t, map[string][]string{edsA: {"10.0.0.7"}})

	// A new cluster is asked for, a removed one is not any more.
	nonce := s.send(t, cds, resources{edsCluster(edsB)}, edsA)
	s.names(t, eds, []string{edsB}, []string{edsA})
	s.ack(t, cds, nonce)
	f.until(t, runtime.Readings{"xds.synced": int64(0)})
	s.push(t, eds, resources{assignment(edsB)})
	f.until(t, runtime.Readings{"xds.synced": int64(1), "xds.cds.removed": int64(1)})

	// A route that two listeners share outlives one of them.
	nonce = s.send(t, lds, resources{httpListener("l1", "own", "shared"), httpListener("l2", "shared")})
	s.names(t, rds, []string{"own", "shared"}, nil)
	s.ack(t, lds, nonce)
	s.push(t, rds, resources{routes("own"), routes("shared")})
	nonce = s.send(t, lds, nil, "l1")
	s.names(t, rds, nil, []string{"own"})
	s.ack(t, lds, nonce)

	// So it does when the listener goes on to refer to another one.
	nonce = s.send(t, lds, resources{httpListener("l2", "other")})
	s.names(t, rds, []string{"other"}, []string{"shared"})
	s.ack(t, lds, nonce)

	// A route that istiod does not have is answered by its removal.
	s.push(t, rds, nil, "other")
	f.until(t, runtime.Readings{"xds.synced": int64(1), "xds.rds.removed": int64(1)})
}

func TestWasted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.sidecar(t, map[string][]string{edsA: {"10.0.0.7"}})
	s.push(t, eds, resources{assignment(edsA, "10.0.0.7")})
	s.push(t, eds, resources{assignment(edsA, "10.0.0.8")})
	f.until(t, runtime.Readings{"pushes.wasted": int64(1), "xds.eds.resources": int64(3)})
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.next(t, cds)
	versioned := edsCluster(edsA)
	versioned.Version = "7"
	nonce := s.send(t, cds, resources{versioned})
	s.names(t, eds, []string{edsA}, nil)
	s.ack(t, cds, nonce)
	s.push(t, eds, resources{assignment(edsA, "10.0.0.7")})
	s.next(t, lds)
	nonce = s.send(t, lds, resources{httpListener("l", "80")})
	s.names(t, rds, []string{"80"}, nil)
	s.ack(t, lds, nonce)
	s.push(t, rds, resources{routes("80")})
	f.until(t, runtime.Readings{"xds.synced": int64(1)})
	s.end <- status.Error(codes.Unavailable, "going away")

	s = f.server.accept(t)
	f.until(t, runtime.Readings{"xds.open": int64(0), "xds.synced": int64(0), "xds.disconnects": int64(1)})
	want := []struct {
		typ      typ
		names    []string
		versions map[string]string
	}{
		{cds, nil, map[string]string{edsA: "7"}},
		{eds, []string{edsA}, map[string]string{edsA: ""}},
		{lds, nil, map[string]string{"l": ""}},
		{rds, []string{"80"}, map[string]string{"80": ""}},
	}
	for i, w := range want {
		req := s.next(t, w.typ)
		if (req.Node != nil) != (i == 0) {
			t.Errorf("%s: node sent: %v", w.typ, req.Node != nil)
		}
		if d := cmp.Diff(w.versions, req.InitialResourceVersions); d != "" {
			t.Errorf("%s versions (-want +got):\n%s", w.typ, d)
		}
		if d := cmp.Diff(w.names, req.ResourceNamesSubscribe); d != "" {
			t.Errorf("%s names (-want +got):\n%s", w.typ, d)
		}
	}
	// The cluster is gone meanwhile; all others are as they were.
	nonce = s.send(t, cds, nil, edsA)
	s.names(t, eds, nil, []string{edsA})
	s.ack(t, cds, nonce)
	s.push(t, lds, resources{httpListener("l", "80")})
	f.until(t, runtime.Readings{"xds.open": int64(1), "xds.synced": int64(0)})
	s.push(t, rds, resources{routes("80")})
	f.until(t, runtime.Readings{"xds.synced": int64(1), "pushes.wasted": int64(2)})
}

func TestZtunnel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "istio-system", Name: "ztunnel-1", IP: "10.0.0.2", Node: "n1"})
	s := f.server.accept(t)
	req := s.next(t, wds)
	if got, want := req.GetNode().GetId(), "ztunnel~10.0.0.2~ztunnel-1.istio-system~istio-system.svc.cluster.local"; got != want {
		t.Errorf("node id %q, want %q", got, want)
	}
	s.next(t, wads)
	s.push(t, wds, resources{workload("w1", "v1", "10.0.0.7", false), workload("w2", "v2", "10.0.0.8", false)})
	f.until(t, runtime.Readings{"xds.ztunnel.synced": int64(0)})
	s.push(t, wads, nil)
	f.until(t, runtime.Readings{"xds.ztunnel.synced": int64(1)})
	s.push(t, wds, resources{workload("w3", "v3", "10.0.0.9", false)}, "w1", "w1", "unknown")
	s.end <- status.Error(codes.Unknown, "restart")

	s = f.server.accept(t)
	req = s.next(t, wds)
	if d := cmp.Diff(map[string]string{"w2": "v2", "w3": "v3"}, req.InitialResourceVersions); d != "" {
		t.Errorf("versions (-want +got):\n%s", d)
	}
	if len(req.ResourceNamesSubscribe) != 0 {
		t.Errorf("ztunnel asks for names: %v", req.ResourceNamesSubscribe)
	}
	s.next(t, wads)
}

func TestNACK(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.next(t, cds)
	broken := &discovery.Resource{Name: "c2", Resource: &anypb.Any{TypeUrl: cds.url(), Value: []byte{0x0a, 0xff}}}
	nonce := s.send(t, cds, resources{edsCluster(edsA), broken})
	req := s.next(t, cds)
	if req.ResponseNonce != nonce || req.GetErrorDetail().GetCode() != int32(codes.Internal) || req.GetErrorDetail().GetMessage() == "" {
		t.Fatalf("got %v, want a NACK", req)
	}
	f.until(t, runtime.Readings{"xds.nacks": int64(1), "xds.cds.nacks": int64(1), "xds.synced": int64(0), "xds.open": int64(1)})
	s.ack(t, cds, s.send(t, cds, nil))
	s.next(t, lds)
	s.push(t, lds, nil)
	f.until(t, runtime.Readings{"xds.synced": int64(1)})
}

func TestUnanswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	s.next(t, cds)
	nonce := s.send(t, cds, resources{edsCluster(edsA)})
	s.names(t, eds, []string{edsA}, nil)
	s.ack(t, cds, nonce)
	f.until(t, runtime.Readings{"xds.open": int64(1), "xds.unanswered": int64(0)})
	f.clock.Advance(patience)
	f.until(t, runtime.Readings{"xds.unanswered": int64(1), "xds.sidecar.unanswered": int64(1), "xds.gateway.unanswered": int64(0)})
	s.push(t, eds, resources{assignment(edsA)})
	s.next(t, lds)
	f.until(t, runtime.Readings{"xds.unanswered": int64(0)})
}

func TestList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(sidecar("p"))
	waiting := sidecar("q")
	waiting.Pod = true
	f.Want(waiting)
	s := f.server.accept(t)
	s.sidecar(t, map[string][]string{edsA: nil})
	f.until(t, runtime.Readings{"xds.synced": int64(1), "xds.desired": int64(2)})
	want := []ProxyStatus{
		{
			Key: "ns/p", NodeID: "sidecar~10.0.0.1~p.ns~ns.svc.cluster.local", ProxyID: "p.ns", Class: runtime.ClassSidecar,
			Wanted: true, Connected: true, Synced: true,
			Types: []TypeStatus{{"CDS", cds.url(), "CDS-1", "CDS-1", 1}, {"EDS", eds.url(), "EDS-2", "EDS-2", 1}, {"LDS", lds.url(), "LDS-3", "LDS-3", 0}},
		},
		{Key: "ns/q", ProxyID: "q.ns", Class: runtime.ClassSidecar, Wanted: true},
	}
	if d := cmp.Diff(want, f.List()); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}
	if f.Open() != 1 {
		t.Errorf("open = %d", f.Open())
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.ConnectRate = 1e9 }) // connects are not what sleeps here
	f.Want(sidecar("p"))
	for range 8 {
		f.server.accept(t).end <- status.Error(codes.Unavailable, "no")
	}
	s := f.server.accept(t)
	s.next(t, cds)
	s.send(t, cds, nil)
	s.ack(t, cds, "CDS-1")
	s.end <- status.Error(codes.Unavailable, "no")
	f.server.accept(t)
	f.until(t, runtime.Readings{"xds.disconnects": int64(1)}) // a stream without an answer was never connected

	f.clock.mu.Lock()
	slept := slices.DeleteFunc(slices.Clone(f.clock.sleeps), func(d time.Duration) bool { return d <= time.Microsecond })
	f.clock.mu.Unlock()
	limit := 500 * time.Millisecond
	for i, d := range slept {
		if i == 8 {
			limit = 500 * time.Millisecond // the answer has reset it
		}
		if d > limit {
			t.Errorf("backoff %d is %v, above %v", i, d, limit)
		}
		limit = min(2*limit, 30*time.Second)
	}
	if len(slept) < 9 {
		t.Errorf("slept %d times", len(slept))
	}
}

func TestBackoffBounds(t *testing.T) {
	t.Parallel()
	unavailable := status.Error(codes.Unavailable, "")
	envoy := newBackoff(runtime.ClassSidecar)
	for _, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
		if got := envoy.after(unavailable, 0.5); got != want/2 {
			t.Errorf("envoy waits %v, want half of %v", got, want)
		}
	}
	zt := newBackoff(runtime.ClassZtunnel)
	for _, want := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond} {
		if got := zt.after(unavailable, 0.5); got != want {
			t.Errorf("ztunnel waits %v, want %v", got, want)
		}
	}
	for range 20 {
		zt.after(unavailable, 0)
	}
	if got := zt.after(unavailable, 0); got != 15*time.Second {
		t.Errorf("ztunnel waits %v at most", got)
	}
	if got := zt.after(status.Error(codes.Unknown, ""), 0); got != 10*time.Millisecond {
		t.Errorf("ztunnel waits %v after an ordinary end", got)
	}
}
