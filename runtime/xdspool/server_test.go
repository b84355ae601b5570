package xdspool

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// patient is how long a test waits for what has to happen.
const patient = 20 * time.Second

// fakeClock stands still but for Advance and for sleepers, who push it to the end of their sleep at once.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	sleeps []time.Duration
}

func newClock() *fakeClock { return &fakeClock{now: time.Unix(1_700_000_000, 0)} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.sleeps = append(c.sleeps, d)
	c.mu.Unlock()
	return ctx.Err()
}

func (c *fakeClock) After(d time.Duration) (<-chan time.Time, func()) {
	ch := make(chan time.Time, 1)
	c.Advance(d)
	ch <- c.Now()
	return ch, func() {}
}

// server is an istiod whose every word is the test's.
type server struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	address  string
	sessions chan *session
	states   chan *stateSession
}

// session is the server's side of one stream.
type session struct {
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	in     chan *discovery.DeltaDiscoveryRequest // closed when the client has gone
	end    chan error                            // ends the stream with what is sent here
	nonces int
}

func newServer(t testing.TB) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String(), sessions: make(chan *session, 100), states: make(chan *stateSession, 100)}
	g := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(g, s)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return s
}

func (s *server) DeltaAggregatedResources(stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	ses := &session{stream: stream, in: make(chan *discovery.DeltaDiscoveryRequest, 100), end: make(chan error, 1)}
	s.sessions <- ses
	go func() {
		defer close(ses.in)
		for {
			req, err := stream.Recv()
			if err != nil {
				return
			}
			ses.in <- req
		}
	}()
	select {
	case err := <-ses.end:
		return err
	case <-stream.Context().Done():
		return nil
	}
}

func (s *server) accept(t testing.TB) *session {
	t.Helper()
	select {
	case ses := <-s.sessions:
		return ses
	case <-time.After(patient):
		t.Fatal("no client connected")
		return nil
	}
}

// next returns the next request, which must be of type want.
func (s *session) next(t testing.TB, want typ) *discovery.DeltaDiscoveryRequest {
	t.Helper()
	select {
	case req, ok := <-s.in:
		if !ok {
			t.Fatalf("the client left instead of a request for %s", want)
		}
		if req.TypeUrl != want.url() {
			t.Fatalf("got a request for %s %v, want %s", req.TypeUrl, req.ResourceNamesSubscribe, want)
		}
		return req
	case <-time.After(patient):
		t.Fatalf("no request for %s", want)
		return nil
	}
}

// ack takes the next request, which must ACK nonce.
func (s *session) ack(t testing.TB, want typ, nonce string) {
	t.Helper()
	got := s.next(t, want)
	wanted := &discovery.DeltaDiscoveryRequest{TypeUrl: want.url(), ResponseNonce: nonce}
	if !proto.Equal(got, wanted) {
		t.Fatalf("got %v, want the ACK of %s", got, nonce)
	}
}

// names takes the next request, which must subscribe to and unsubscribe from exactly these.
func (s *session) names(t testing.TB, want typ, add, del []string) *discovery.DeltaDiscoveryRequest {
	t.Helper()
	got := s.next(t, want)
	slices.Sort(got.ResourceNamesSubscribe)
	slices.Sort(got.ResourceNamesUnsubscribe)
	if d := cmp.Diff([][]string{add, del}, [][]string{got.ResourceNamesSubscribe, got.ResourceNamesUnsubscribe}); d != "" {
		t.Fatalf("%s names (-want +got):\n%s", want, d)
	}
	if got.ResponseNonce != "" {
		t.Fatalf("a subscription came with nonce %q", got.ResponseNonce)
	}
	return got
}

// gone waits until the client has left.
func (s *session) gone(t testing.TB) {
	t.Helper()
	for {
		select {
		case _, ok := <-s.in:
			if !ok {
				return
			}
		case <-time.After(patient):
			t.Fatal("the client did not leave")
		}
	}
}

// send sends resources and removals and returns the nonce.
func (s *session) send(t testing.TB, of typ, resources []*discovery.Resource, removed ...string) string {
	t.Helper()
	s.nonces++
	nonce := of.String() + "-" + string(rune('0'+s.nonces))
	err := s.stream.Send(&discovery.DeltaDiscoveryResponse{
		TypeUrl: of.url(), Nonce: nonce, Resources: resources, RemovedResources: removed, SystemVersionInfo: "v",
	})
	if err != nil {
		t.Fatal(err)
	}
	return nonce
}

// push is send, with the ACK.
func (s *session) push(t testing.TB, of typ, resources []*discovery.Resource, removed ...string) {
	t.Helper()
	s.ack(t, of, s.send(t, of, resources, removed...))
}

// sidecar leads a client through a start with the given endpoints by EDS name, and no routes.
func (s *session) sidecar(t testing.TB, endpoints map[string][]string) {
	t.Helper()
	var clusters, assignments []*discovery.Resource
	var names []string
	for name, ips := range endpoints {
		names = append(names, name)
		clusters = append(clusters, edsCluster(name))
		assignments = append(assignments, assignment(name, ips...))
	}
	slices.Sort(names)
	s.next(t, cds)
	nonce := s.send(t, cds, clusters)
	if len(names) > 0 {
		s.names(t, eds, names, nil)
	}
	s.ack(t, cds, nonce)
	if len(names) > 0 {
		s.push(t, eds, assignments)
	}
	s.next(t, lds)
	s.push(t, lds, nil)
}

// notifier lets a test wait for a state.
type notifier chan struct{}

func (n notifier) Notify() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// fixture is a running pool and its server.
type fixture struct {
	*Pool
	server *server
	clock  *fakeClock
	wake   notifier
}

func newFixture(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{server: newServer(t), clock: newClock(), wake: make(notifier, 1)}
	cfg := Config{
		Addresses:    []string{f.server.address},
		Clock:        f.clock,
		Rand:         rand.New(rand.NewPCG(1, 2)),
		Notify:       f.wake,
		Log:          slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		IstioVersion: "1.31.0",
	}
	for _, c := range change {
		c(&cfg)
	}
	f.Pool = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		f.checkEmpty(t)
	})
	return f
}

// checkEmpty fails if anything is left in the store of a pool without clients and pending changes.
func (f *fixture) checkEmpty(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tracker.pending) > 0 {
		return // they hold on to what they watch
	}
	if n, c, h := len(f.store.nameIndex), len(f.store.contentIndex), len(f.store.hosts); n+c+h > 0 {
		t.Errorf("left in the store: %d names, %d contents, %d hosts", n, c, h)
	}
	for key, o := range f.store.objects {
		if len(o.holds) > 0 {
			t.Errorf("left in the store: what holds %v", key)
		}
	}
	if len(f.tracker.byMarker) > 0 || len(f.stats.awaited) > 0 {
		t.Errorf("left: %d markers, %d awaited answers", len(f.tracker.byMarker), len(f.stats.awaited))
	}
}

// until waits until the readings are as wanted.
func (f *fixture) until(t testing.TB, want runtime.Readings) {
	t.Helper()
	deadline := time.After(patient)
	for {
		all, got := f.readings(), runtime.Readings{}
		for path := range want {
			if v, ok := all[path]; ok {
				got[path] = v
			}
		}
		d := cmp.Diff(want, got)
		if d == "" {
			return
		}
		select {
		case <-f.wake:
		case <-deadline:
			t.Fatalf("readings (-want +got):\n%s", d)
		}
	}
}

func (f *fixture) readings() runtime.Readings {
	r := runtime.Readings{}
	f.Read(r)
	return r
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func sidecar(name string) runtime.Proxy {
	return runtime.Proxy{Class: runtime.ClassSidecar, Namespace: "ns", Name: name, IP: "10.0.0.1", App: "app"}
}

var errRefused = status.Error(codes.ResourceExhausted, "request rate limit exceeded")
