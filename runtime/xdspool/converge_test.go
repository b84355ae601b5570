package xdspool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	podIP    = "10.0.0.7"
	otherIP  = "10.0.0.8"
	podName  = "ns/pod"
	podsName = "Kubernetes//Pod/ns/pod"
)

// audience is a fixture with n synced sidecars, each subscribed to both ports of host a.
func audience(t *testing.T, n int, ips ...string) (*fixture, []*session) {
	t.Helper()
	f := newFixture(t)
	var out []*session
	for i := range n {
		f.Want(sidecar(string(rune('a' + i))))
		s := f.server.accept(t)
		s.sidecar(t, map[string][]string{edsA: ips, edsA2: ips, edsB: nil})
		out = append(out, s)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(n)})
	return f, out
}

func (f *fixture) endpoint(removed bool) runtime.Change {
	return runtime.Change{
		Kind: runtime.ChangeEndpoint, Hosts: []string{hostA}, Marker: podIP, Workload: podName, Removed: removed,
		Scheduled: f.clock.Now(),
	}
}

// give sends the endpoints of both ports of host a.
func (s *session) give(t *testing.T, ips ...string) {
	t.Helper()
	s.push(t, eds, resources{assignment(edsA, ips...), assignment(edsA2, ips...)})
}

// near reports whether a duration in the readings is want, as far as the histogram tells.
func near(t *testing.T, r runtime.Readings, path string, want time.Duration) {
	t.Helper()
	got, ok := r["changes.endpoint."+path].(time.Duration)
	if !ok || got < want || got > want+want/500 {
		t.Errorf("%s = %v, want %v", path, r["changes.endpoint."+path], want)
	}
}

// taken waits until the readings are as wanted and the pool has noted that everything it received is acknowledged. The
// server has an ACK a moment before that, and the clock must not go on in between.
func (f *fixture) taken(t *testing.T, want runtime.Readings) {
	t.Helper()
	f.until(t, want)
	deadline := time.After(patient)
	for slices.ContainsFunc(f.List(), func(p ProxyStatus) bool {
		return slices.ContainsFunc(p.Types, func(s TypeStatus) bool { return s.Nonce != s.Acked })
	}) {
		select {
		case <-f.wake:
		case <-deadline:
			t.Fatal("a response was not acknowledged")
		}
	}
}

func counts(count, pending, unobserved int) runtime.Readings {
	return runtime.Readings{
		"changes.count": int64(count), "changes.endpoint.count": int64(count), "changes.endpoint.pending": int64(pending),
		"changes.pending": int64(pending), "changes.endpoint.unobserved": int64(unobserved),
	}
}

func TestAddIsHeldWhenEveryPortListsIt(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 2)
	ch := f.Track(f.endpoint(false))
	f.until(t, counts(0, 0, 0)) // not written yet
	f.clock.Advance(10 * time.Millisecond)
	ch.Written()
	ch.Written()
	f.until(t, counts(1, 1, 0))

	f.clock.Advance(90 * time.Millisecond)
	s[0].give(t, otherIP, podIP)
	f.taken(t, runtime.Readings{"pushes.responses": int64(7), "changes.pending": int64(1)})
	f.clock.Advance(100 * time.Millisecond)
	s[1].push(t, eds, resources{assignment(edsA, podIP)}) // one of the two ports
	f.taken(t, runtime.Readings{"pushes.responses": int64(8), "changes.pending": int64(1)})
	f.clock.Advance(staleness)
	r := f.readings() // 100ms held, and one pending at 220ms
	near(t, r, "p50", 100*time.Millisecond)
	near(t, r, "max", 220*time.Millisecond)
	near(t, r, "firstP50", 100*time.Millisecond)
	near(t, r, "lastP99", 220*time.Millisecond)

	f.clock.Advance(180 * time.Millisecond)
	s[1].push(t, eds, resources{assignment(edsA2, podIP)})
	f.until(t, counts(1, 0, 0))
	r = f.readings()
	near(t, r, "p50", 100*time.Millisecond)
	near(t, r, "p99", 400*time.Millisecond)
	near(t, r, "lastP99", 400*time.Millisecond)
	if n := len(f.tracker.pending) + len(f.tracker.byMarker); n != 0 {
		t.Errorf("%d things kept of a change that is over", n)
	}
}

func TestRemovalIsHeldWhenNoPortListsIt(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1, podIP)
	ch := f.Track(f.endpoint(true))
	ch.Written()
	f.clock.Advance(50 * time.Millisecond)
	s[0].push(t, eds, resources{assignment(edsA, otherIP)})
	f.taken(t, runtime.Readings{"pushes.responses": int64(4), "changes.pending": int64(1)})
	f.clock.Advance(50 * time.Millisecond)
	s[0].push(t, eds, resources{assignment(edsA2)})
	f.until(t, counts(1, 0, 0))
	near(t, f.readings(), "max", 100*time.Millisecond)
}

func TestSupersededAddIsHeldFromTheRemovalOn(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1)
	add := f.Track(f.endpoint(false))
	add.Written()
	f.clock.Advance(30 * time.Millisecond)
	del := f.Track(f.endpoint(true))
	f.until(t, counts(1, 1, 0))
	del.Written() // the proxy has seen neither, and what it holds is what it should
	f.until(t, counts(2, 0, 0))
	near(t, f.readings(), "max", 30*time.Millisecond)
	s[0].give(t) // istiod sends the state that came of both
	f.until(t, counts(2, 0, 0))
}

func TestSupersededRemovalIsHeldByTheNewAdd(t *testing.T) {
	t.Parallel()
	f, _ := audience(t, 1, podIP)
	f.Track(f.endpoint(true)).Written()
	f.clock.Advance(30 * time.Millisecond)
	f.Track(f.endpoint(false)).Written()
	f.until(t, counts(2, 0, 0))
	near(t, f.readings(), "max", 30*time.Millisecond)
}

func TestOtherMarkersAndHostsDoNotSupersede(t *testing.T) {
	t.Parallel()
	f, _ := audience(t, 1)
	f.Track(f.endpoint(false)).Written()
	other := f.endpoint(true)
	other.Marker = otherIP
	f.Track(other).Written()
	other = f.endpoint(true)
	other.Hosts, other.Workload = []string{"b.ns.svc.cluster.local"}, ""
	f.Track(other).Written()
	f.until(t, counts(3, 1, 0))
}

func TestUnobservedAndCancelled(t *testing.T) {
	t.Parallel()
	f, _ := audience(t, 1)
	c := f.endpoint(false)
	c.Hosts = []string{"nobody.knows.it"}
	f.Track(c).Written()
	c.Hosts, c.Marker = []string{hostA}, "no-address"
	f.Track(c).Written()
	cancelled := f.Track(f.endpoint(false))
	cancelled.Cancel()
	cancelled.Written()
	f.until(t, counts(2, 0, 2))
	if _, ok := f.readings()["changes.endpoint.p50"]; ok {
		t.Error("a percentile of nothing")
	}
}

func TestClosedProxyLeavesTheAudience(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 2)
	ch := f.Track(f.endpoint(false))
	ch.Written()
	f.clock.Advance(time.Second)
	s[0].give(t, podIP)
	f.taken(t, runtime.Readings{"pushes.responses": int64(7)})
	f.Forget("ns/b")
	f.until(t, counts(1, 0, 0))
	near(t, f.readings(), "max", time.Second)

	f.Track(f.endpoint(true)).Written()
	f.Forget("ns/a") // the whole audience is gone
	f.until(t, counts(2, 0, 1))
}

func TestDisconnectedProxyMayHoldItLater(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1)
	f.Track(f.endpoint(false)).Written()
	s[0].end <- status.Error(codes.Unavailable, "gone")
	again := f.server.accept(t)
	f.until(t, counts(1, 1, 0))
	for _, typ := range []typ{cds, eds, lds} {
		again.next(t, typ)
	}
	again.push(t, cds, nil)
	again.give(t, podIP)
	f.until(t, counts(1, 0, 0))
}

func TestServiceGone(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1, otherIP)
	f.Track(f.endpoint(false)).Written() // will never come
	c := f.endpoint(true)
	c.Marker = otherIP
	f.Track(c).Written()
	nonce := s[0].send(t, cds, nil, edsA, edsA2)
	s[0].names(t, eds, nil, []string{edsA2, edsA})
	s[0].ack(t, cds, nonce)
	f.until(t, counts(2, 0, 1)) // the removal is held, the add has lost its audience
}

func TestConvergenceOfZtunnels(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Want(runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "istio-system", Name: "z", IP: "10.0.0.2"})
	s := f.server.accept(t)
	s.next(t, wds)
	s.next(t, wads)
	s.push(t, wds, nil)
	s.push(t, wads, nil)
	f.until(t, runtime.Readings{"xds.synced": int64(1)})

	f.Track(f.endpoint(false)).Written()
	s.push(t, wds, resources{workload(podsName, "1", podIP, true)}) // not ready
	f.taken(t, runtime.Readings{"pushes.responses": int64(3), "changes.pending": int64(1)})
	s.push(t, wds, resources{workload(podsName, "2", podIP, false)})
	f.until(t, counts(1, 0, 0))

	f.Track(f.endpoint(true)).Written()
	s.push(t, wds, resources{workload(podsName, "3", podIP, true)})
	f.until(t, counts(2, 0, 0)) // not ready is gone, too

	f.Track(f.endpoint(false)).Written()
	s.push(t, wds, resources{workload(podsName, "2", podIP, false)})
	f.until(t, counts(3, 0, 0))
	f.Track(f.endpoint(true)).Written()
	s.push(t, wds, nil, podsName)
	f.until(t, counts(4, 0, 0))
}

func TestReadSetsWhatIsDeclared(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1)
	f.Track(f.endpoint(false)).Written()
	s[0].give(t, podIP)
	f.until(t, counts(1, 0, 0))
	f.mu.Lock()
	for _, k := range f.tracker.kinds { // a kind of which there was no change has none either
		k.count = max(k.count, 1)
		k.record(k.pairs, time.Second)
	}
	for i := range f.stats.types { // a type that nobody subscribes to has no times
		st := &f.stats.types[i]
		for _, h := range []*hdrhistogram.Histogram{st.first, st.sync, st.ack} {
			recordTimes(h, time.Millisecond, 1)
		}
		st.fresh = false
	}
	f.mu.Unlock()
	want, got := map[string]string{}, map[string]string{}
	for _, m := range runtime.Measures() {
		switch section(m.Path) {
		case "xds", "changes", "pushes":
			want[m.Path] = string(m.Type)
		}
	}
	kinds := map[string]runtime.MeasureType{"int64": runtime.Int, "time.Duration": runtime.Duration, "float64": runtime.Double}
	readings, stages := f.readings(), &runtime.Stages{}
	stages.Record(runtime.StageDemand, time.Second, nil) // the stages are a meter of their own
	stages.Read(readings)
	for path, v := range readings {
		got[path] = string(kinds[typeName(v)])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("measures (-declared +set):\n%s", d)
	}
}

func TestSlotsAreUsedAgain(t *testing.T) {
	t.Parallel()
	tr := newTracker(newStore(), func(s string) string { return s })
	var clients []*client
	for range 130 {
		c := &client{open: true}
		tr.join(c)
		clients = append(clients, c)
	}
	var set slotSet
	for _, i := range []int{0, 64, 129} {
		set.add(i)
	}
	var got []int
	for i := range set.all() {
		got = append(got, i)
	}
	if d := cmp.Diff([]int{0, 64, 129}, got); d != "" {
		t.Error(d)
	}
	if set.has(1) || !set.has(64) || set.has(4000) {
		t.Error("has is wrong")
	}
	tr.leave(clients[64])
	c := &client{}
	tr.join(c)
	if c.slot != 64 || len(tr.clients) != 130 {
		t.Errorf("slot %d of %d", c.slot, len(tr.clients))
	}
}

func section(path string) string {
	s, _, _ := strings.Cut(path, ".")
	return s
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }
