package xdspool

import (
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime"
)

// onDemand is a pool with one ztunnel that works on demand and has been sent the workload of its node.
type onDemand struct {
	*fixture
	stages *runtime.Stages
	stream *session
}

func newOnDemand(t *testing.T, change ...func(*Config)) *onDemand {
	o := &onDemand{stages: &runtime.Stages{}}
	o.fixture = newFixture(t, append(change, func(c *Config) { c.Stages = o.stages })...)
	o.Want(runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "ns", Name: "z", IP: "10.0.0.2", OnDemand: true})
	o.accept(t)
	o.stream.push(t, wads, nil)
	o.stream.push(t, wds, resources{workload("own", "1", "10.0.0.3", false)})
	o.until(t, runtime.Readings{"xds.ztunnel.synced": int64(1)})
	return o
}

// accept takes the first requests of the ztunnel's next stream, and returns what it says it holds.
func (o *onDemand) accept(t *testing.T) map[string]string {
	t.Helper()
	o.stream = o.server.accept(t)
	held := o.stream.names(t, wds, []string{"*"}, []string{"*"}).InitialResourceVersions
	o.stream.next(t, wads)
	return held
}

func (o *onDemand) demand(address string) {
	o.Demand(runtime.Demand{Ztunnel: "ns/z", Address: address}, o.clock.Now())
}

func (o *onDemand) recorded(t *testing.T) runtime.StageOutcome {
	t.Helper()
	out := o.stages.Outcomes()
	if len(out) != 1 || out[0].Stage != runtime.StageDemand {
		t.Fatalf("recorded %+v", out)
	}
	return out[0]
}

// pod is the answer to a demand for an address.
func pod(name, version, ip string) *discovery.Resource {
	r := workload(name, version, ip, false)
	r.Aliases = []string{"/" + ip}
	return r
}

func TestDemand(t *testing.T) {
	t.Parallel()
	o := newOnDemand(t)
	o.demand("/10.0.0.7")
	o.stream.names(t, wds, []string{"/10.0.0.7"}, nil)
	o.demand("/10.0.0.7") // was asked for: nothing is sent
	o.demand("apps/web")
	o.stream.names(t, wds, []string{"apps/web"}, nil)
	o.demand("/10.0.0.8")
	o.stream.names(t, wds, []string{"/10.0.0.8"}, nil)
	o.until(t, runtime.Readings{"xds.ztunnel.synced": int64(0), "xds.demand.pending": int64(3), "xds.ztunnel.unanswered": int64(0)})

	o.clock.Advance(2 * time.Second)
	o.stream.push(t, wds, resources{pod("pod", "1", "10.0.0.7")})
	o.until(t, runtime.Readings{"xds.demand.pending": int64(2)})
	o.clock.Advance(2 * time.Second)
	// What is removed without having been asked for, a pod that has gone, is not unknown.
	o.stream.push(t, wds, resources{workload("apps/web", "1", "10.0.0.9", false)}, "/10.0.0.8", "own")
	o.until(t, runtime.Readings{
		"xds.ztunnel.synced": int64(1), "xds.demand.pending": int64(0), "xds.demand.unknown": int64(1), "xds.wds.removed": int64(2),
	})
	if r := o.recorded(t); r.Count != 3 || r.Errors != 0 || r.Max.Round(time.Second) != 4*time.Second || r.P50.Round(time.Second) != 4*time.Second {
		t.Errorf("recorded %+v", r)
	}
}

// What was answered before a stream broke does not come again unless it has changed (Istio appendAddress), and is not
// waited for; what was not is.
func TestDemandOverReconnect(t *testing.T) {
	t.Parallel()
	o := newOnDemand(t)
	for _, address := range []string{"/10.0.0.7", "/10.0.0.9"} {
		o.demand(address)
		o.stream.next(t, wds)
	}
	o.stream.push(t, wds, resources{pod("pod", "1", "10.0.0.7")})
	o.until(t, runtime.Readings{"xds.demand.pending": int64(1)})
	o.stream.end <- status.Error(codes.Unavailable, "restart")
	held := o.accept(t)
	if d := cmp.Diff(map[string]string{"own": "1", "pod": "1", "/10.0.0.7": "", "/10.0.0.9": ""}, held); d != "" {
		t.Errorf("held (-want +got):\n%s", d)
	}
	o.stream.push(t, wads, nil)
	o.stream.push(t, wds, nil)
	o.until(t, runtime.Readings{"xds.ztunnel.open": int64(1), "xds.ztunnel.synced": int64(0), "xds.demand.pending": int64(1)})
	o.stream.push(t, wds, resources{pod("late", "1", "10.0.0.9")})
	o.until(t, runtime.Readings{"xds.ztunnel.synced": int64(1), "xds.demand.pending": int64(0)})
	if r := o.recorded(t); r.Count != 2 {
		t.Errorf("recorded %+v", r)
	}
}

// A ztunnel that waits to connect asks when it has a stream; one that goes waits for nothing.
func TestDemandWithoutAStream(t *testing.T) {
	t.Parallel()
	o := newOnDemand(t)
	z := runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "ns", Name: "late", Pod: true, OnDemand: true}
	o.Want(z)
	o.Demand(runtime.Demand{Ztunnel: "ns/late", Address: "apps/web"}, o.clock.Now())
	if r := o.recorded(t); r.Errors != 1 || r.LastErr == nil {
		t.Errorf("a ztunnel whose pod does not run yet: %+v", r)
	}
	all := runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "ns", Name: "all", IP: "10.0.0.4"}
	o.Want(all)
	o.server.accept(t)
	o.Demand(runtime.Demand{Ztunnel: "ns/all", Address: "apps/web"}, o.clock.Now())
	if r := o.recorded(t); r.Errors != 2 {
		t.Errorf("a ztunnel that is sent everything: %+v", r)
	}
	o.demand("/10.0.0.7")
	o.stream.next(t, wds)
	o.until(t, runtime.Readings{"xds.demand.pending": int64(1)})
	o.Forget("ns/z")
	o.stream.gone(t)
	o.until(t, runtime.Readings{"xds.demand.pending": int64(0), "xds.unanswered": int64(0)})
}

// While one address after the other is asked for and answered in time, nothing is unanswered; what is not answered is.
func TestDemandUnanswered(t *testing.T) {
	t.Parallel()
	o := newOnDemand(t, func(c *Config) { c.Metadata = map[string]any{"NETWORK": "net"} })
	ips := []string{"10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4"}
	for i, ip := range ips {
		o.demand("/" + ip)
		o.stream.names(t, wds, []string{"net/" + ip}, nil)
		o.clock.Advance(20 * time.Second)
		if i > 0 {
			answer := workload(ips[i-1], "1", ips[i-1], false)
			answer.Aliases = []string{"net/" + ips[i-1]}
			o.stream.push(t, wds, resources{answer})
		}
		o.until(t, runtime.Readings{"xds.demand.pending": int64(1), "xds.ztunnel.unanswered": int64(0), "xds.ztunnel.synced": int64(0)})
	}
	o.clock.Advance(10 * time.Second)
	o.until(t, runtime.Readings{"xds.demand.pending": int64(1), "xds.ztunnel.unanswered": int64(1)})
}
