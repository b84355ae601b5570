package actions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// ingress is a gateway that follows a route a few requests after it was written, and a writer that tells it of routes. It
// says of each route that the gateways' streams had it, but for those that it loses.
type ingress struct {
	runtimetest.Writer
	lost map[string]bool // routes that never arrive
	deaf bool            // no gateway's stream is open

	mu      sync.Mutex
	answers map[string]string // by host
	asked   map[string]int
	started []string // node IDs of gateways
	server  *httptest.Server
}

// requestsUntilReady is how often the gateway says 404 to a route that is there.
const requestsUntilReady = 3

func newIngress(t *testing.T) *ingress {
	t.Helper()
	in := &ingress{lost: map[string]bool{}, answers: map[string]string{}, asked: map[string]int{}}
	in.server = httptest.NewServer(in)
	t.Cleanup(in.server.Close)
	return in
}

func (in *ingress) address() string { return strings.TrimPrefix(in.server.URL, "http://") }

// ServeHTTP is the gateway.
func (in *ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.asked[r.Host]++
	answer, ok := in.answers[r.Host]
	if !ok || in.asked[r.Host] <= requestsUntilReady {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, answer)
}

// Submit implements [runtime.Writer].
func (in *ingress) Submit(ctx context.Context, op runtime.Op) error {
	if vs, ok := op.Object.(*unstructured.Unstructured); ok && vs.GetKind() == "VirtualService" && !in.lost[vs.GetName()] {
		spec := vs.Object["spec"].(map[string]any)
		rule := spec["http"].([]any)[0].(map[string]any)
		in.mu.Lock()
		in.answers[spec["hosts"].([]any)[0].(string)] = rule["directResponse"].(map[string]any)["body"].(map[string]any)["string"].(string)
		in.mu.Unlock()
	}
	return in.Writer.Submit(ctx, op)
}

// Start implements [runtime.Gateways].
func (in *ingress) Start(_ context.Context, nodeID string) (string, error) {
	in.started = append(in.started, nodeID)
	return in.address(), nil
}

// Track implements [runtime.Changes].
func (in *ingress) Track(c runtime.Change) runtime.TrackedChange { return &trackedRoute{in, c} }

type trackedRoute struct {
	in *ingress
	c  runtime.Change
}

func (t *trackedRoute) Written() {
	switch {
	case t.in.deaf:
		t.c.Converged(0, false)
	case !t.in.lost[t.c.Config.Object.Name]:
		t.c.Converged(5*time.Millisecond, true)
	}
}
func (t *trackedRoute) Cancel() {}

// probeWith runs a probe of an ingress after a gateway app was made.
func probeWith(t *testing.T, in *ingress, p *probe, services runtime.Services) *runtime.Outcome {
	t.Helper()
	p.Gateway, p.Domain, p.Limit = "edge/public", "example.com", max(p.Limit, ir.Duration(time.Second))
	s := runtimetest.Scenario(
		&createNamespaces{Count: 1, Name: "edge", Apps: []appSpec{{Name: "gateway", Type: runtime.AppGateway, Replicas: 1, Pods: 1, ServiceAccount: "default"}}}, p)
	g, ds := runtime.Compile(t.Context(), s, nil)
	if ds != nil {
		t.Fatal(ds)
	}
	return g.Run(t.Context(), runtime.Parts{
		RunID: "r1", Clock: runtimetest.Clock{}, Writer: in, Proxies: &runtimetest.Proxies{}, Changes: in, Signal: &runtime.Signal{}, Services: services,
	})
}

func stages(out *runtime.Outcome) map[runtime.Stage]runtime.StageOutcome {
	m := map[runtime.Stage]runtime.StageOutcome{}
	for _, s := range out.Stages {
		m[s.Stage] = s
	}
	return m
}

// TestProbe measures each route but those below the threshold, by streams and by traffic, against the number of routes.
func TestProbe(t *testing.T) {
	t.Parallel()
	in := newIngress(t)
	out := probeWith(t, in, &probe{Replicas: 6, Threshold: 2, Limit: ir.Duration(time.Minute)}, runtime.Services{Gateways: in})
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	if len(in.started) != 1 || !strings.HasPrefix(in.started[0], "router~10.") || !strings.HasSuffix(in.started[0], ".edge~edge.svc.cluster.local") {
		t.Errorf("gateways started as %q", in.started)
	}
	for _, stage := range []runtime.Stage{runtime.StageProbeXDS, runtime.StageProbeHTTP} {
		s := stages(out)[stage]
		if s.Count != 4 || s.Errors != 0 || len(s.Curve) != 4 || s.Curve[0].At != 3 || s.Curve[3].At != 6 {
			t.Errorf("%s: %+v", stage, s)
		}
	}
	if n := in.asked["probe-0.example.com"]; n != 0 {
		t.Errorf("a route below the threshold was asked for %d times", n)
	}
	if n := in.asked["probe-1.example.com"]; n != requestsUntilReady+1 {
		t.Errorf("the last route below the threshold was asked for %d times, and not waited for", n)
	}
	if n := in.asked["probe-5.example.com"]; n != requestsUntilReady+1 {
		t.Errorf("a route was asked for %d times", n)
	}
}

// TestProbeLost: a route that does not come is counted as an error, and the next one is measured.
func TestProbeLost(t *testing.T) {
	t.Parallel()
	in := newIngress(t)
	in.lost["probe-1"] = true
	out := probeWith(t, in, &probe{Replicas: 3, Address: in.address(), Limit: ir.Duration(3 * time.Second)}, runtime.Services{})
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	for stage, s := range stages(out) {
		if s.Count != 2 || s.Errors != 1 || !errors.Is(s.LastErr, errTooLate) {
			t.Errorf("%s: %+v", stage, s)
		}
	}
	if len(stages(out)) != 2 {
		t.Errorf("stages %+v", out.Stages)
	}
}

// TestProbeStreams: without an address and a way to carry traffic there is only what streams show; without a stream not
// even that, which is no pass.
func TestProbeStreams(t *testing.T) {
	t.Parallel()
	in := newIngress(t)
	in.deaf = true
	out := probeWith(t, in, &probe{Replicas: 2}, runtime.Services{})
	s := stages(out)
	if xds := s[runtime.StageProbeXDS]; len(s) != 1 || xds.Count != 0 || xds.Errors != 2 || !errors.Is(xds.LastErr, errNoGateway) {
		t.Errorf("stages %+v", s)
	}
}

// TestProbeUnreachable: an address where nobody listens fails the step at once.
func TestProbeUnreachable(t *testing.T) {
	t.Parallel()
	in := newIngress(t)
	in.server.Close()
	out := probeWith(t, in, &probe{Replicas: 2, Address: in.address()}, runtime.Services{})
	if out.Exit != runtime.ExitAction || !strings.Contains(fmt.Sprint(out.Err), "cannot be reached") {
		t.Errorf("exit %d: %v", out.Exit, out.Err)
	}
	for _, w := range in.Writes() {
		if w.Kind == "VirtualService" {
			t.Error("a route was written")
		}
	}
}

// TestProbeIsAnsweredByTheRoute: an answer that is not the route's own is not taken for it, as that of a run before.
func TestProbeIsAnsweredByTheRoute(t *testing.T) {
	t.Parallel()
	in := newIngress(t)
	r := (&probe{Domain: "example.com"}).route("now", 0)
	in.asked[r.host] = requestsUntilReady
	in.answers[r.host] = "probe-0 before"
	tr := newTraffic(in.address(), runtimetest.Clock{})
	if err := tr.ask(t.Context(), r); err == nil {
		t.Error("the answer of another run's route is taken")
	}
	in.answers[r.host] = "probe-0 now"
	if err := tr.ask(t.Context(), r); err != nil {
		t.Error(err)
	}
}
