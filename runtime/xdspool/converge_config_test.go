package xdspool

import (
	"fmt"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/plscript/plscript/runtime"
)

// virtualService is a change of a VirtualService with a header value and a weight, which is text and a number on the wire.
func (f *fixture) virtualService(name, header string, weight int64) runtime.Change {
	return runtime.Change{Kind: runtime.ChangeRoute, Scheduled: f.clock.Now(), Config: &runtime.ConfigChange{
		Object: runtime.ObjectKey{APIVersion: "networking.istio.io/v1", Kind: "VirtualService", Namespace: "ns", Name: name},
		Fields: map[string]any{"spec.hosts[0]": "a.ns", "spec.http[0].headers.request.set.x": header, "spec.http[0].route[0].weight": weight},
	}}
}

func removal(c runtime.Change) runtime.Change {
	c.Removed, c.Config = true, &runtime.ConfigChange{Object: c.Config.Object}
	return c
}

// rendered is what istiod makes of a VirtualService.
func rendered(name, header string, weight uint32) *route.Route {
	path := "/apis/networking.istio.io/v1/namespaces/ns/virtual-service/" + name
	meta, err := structpb.NewStruct(map[string]any{"config": path})
	if err != nil {
		panic(err)
	}
	return &route.Route{
		Metadata: &core.Metadata{FilterMetadata: map[string]*structpb.Struct{"istio": meta}},
		Match:    &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
		Action: &route.Route_Route{Route: &route.RouteAction{
			ClusterSpecifier: &route.RouteAction_WeightedClusters{WeightedClusters: &route.WeightedCluster{
				Clusters: []*route.WeightedCluster_ClusterWeight{{Name: "outbound|80||a.ns", Weight: wrapperspb.UInt32(weight)}},
			}},
		}},
		RequestHeadersToAdd: []*core.HeaderValueOption{{Header: &core.HeaderValue{Key: "x", Value: header}}},
	}
}

func routeConfig(name string, all ...*route.Route) *discovery.Resource {
	return pack(name, &route.RouteConfiguration{Name: name, VirtualHosts: []*route.VirtualHost{{Name: "h", Domains: []string{"*"}, Routes: all}}})
}

// routed is n synced sidecars with the routes 80 and 8080.
func routed(t *testing.T, n int) (*fixture, []*session) {
	t.Helper()
	f := newFixture(t)
	var out []*session
	for i := range n {
		f.Want(sidecar(string(rune('a' + i))))
		s := f.server.accept(t)
		s.next(t, cds)
		s.push(t, cds, nil)
		s.next(t, lds)
		nonce := s.send(t, lds, resources{httpListener("l", "80", "8080")})
		s.names(t, rds, []string{"80", "8080"}, nil)
		s.ack(t, lds, nonce)
		s.push(t, rds, resources{routeConfig("80"), routeConfig("8080")})
		out = append(out, s)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(n)})
	return f, out
}

func routeCounts(count, pending, unobserved int) runtime.Readings {
	return runtime.Readings{
		"changes.route.count": int64(count), "changes.route.pending": int64(pending), "changes.route.unobserved": int64(unobserved),
	}
}

// write tracks a change that is written at once.
func (f *fixture) write(c runtime.Change) { f.Track(c).Written() }

// slowest fails unless the slowest pair of a route change and a proxy took want.
func (f *fixture) slowest(t *testing.T, want time.Duration) {
	t.Helper()
	f.clock.Advance(staleness)
	got, _ := f.readings()["changes.route.max"].(time.Duration)
	if got < want || got > want+want/500 {
		t.Errorf("max = %v, want %v", got, want)
	}
}

func TestNewObjectHasArrivedWithTheFirst(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 3)
	told := make(chan time.Duration, 2)
	c := f.virtualService("v", "one", 100)
	c.Converged = func(took time.Duration, observed bool) {
		if observed {
			told <- took
		}
	}
	f.write(c)
	f.write(f.virtualService("never", "one", 100))
	f.until(t, routeCounts(2, 2, 0))
	f.clock.Advance(100 * time.Millisecond)
	s[0].push(t, rds, resources{routeConfig("80", rendered("other", "one", 100))}) // of nobody
	f.taken(t, routeCounts(2, 2, 0))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.until(t, routeCounts(2, 1, 0))
	if got := <-told; got != 100*time.Millisecond {
		t.Errorf("told %v", got)
	}
	f.clock.Advance(100 * time.Millisecond)
	s[1].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))}) // watched, although nobody waits for it
	f.taken(t, routeCounts(2, 1, 0))
	f.write(removal(f.virtualService("never", "", 0)))
	f.until(t, routeCounts(3, 0, 2)) // neither its coming nor its going was seen
	f.slowest(t, 200*time.Millisecond)
}

func TestAudienceOfANewObject(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 3)
	c := f.virtualService("v", "one", 100)
	c.Config.Audience = func(p runtime.Proxy) bool { return p.Name != "c" }
	f.write(c)
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.taken(t, routeCounts(1, 1, 0))
	s[1].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.until(t, routeCounts(1, 0, 0))
}

func TestUpdateIsToldByItsWords(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 2)
	old := rendered("v", "one", 100)
	f.write(f.virtualService("v", "one", 100))
	s[0].push(t, rds, resources{routeConfig("80", old), routeConfig("8080", old)}) // b gets nothing of it
	f.until(t, routeCounts(1, 0, 0))

	start := f.clock.Now()
	f.write(f.virtualService("v", "two", 100))
	f.clock.Advance(50 * time.Millisecond)
	c := f.virtualService("v", "three", 100) // while the one before is on its way
	c.Scheduled = start
	f.write(c)
	f.until(t, routeCounts(3, 2, 0))
	// A push that has nothing to do with it, and changes its resource.
	s[0].push(t, rds, resources{routeConfig("80", old, rendered("w", "two", 1))})
	f.taken(t, routeCounts(3, 2, 0))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "two", 100))})
	f.taken(t, routeCounts(3, 2, 0)) // the other route is still the old one
	s[0].push(t, rds, resources{routeConfig("8080", rendered("v", "two", 100))})
	f.taken(t, routeCounts(3, 1, 0))
	f.clock.Advance(50 * time.Millisecond)
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "three", 100)), routeConfig("8080", rendered("v", "three", 100))})
	f.until(t, routeCounts(3, 0, 0))
	f.slowest(t, 100*time.Millisecond)
}

func TestCoalescedUpdatesAreHeldTogether(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 1)
	f.write(f.virtualService("v", "one", 100))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.until(t, routeCounts(1, 0, 0))
	for i := range 5 {
		f.write(f.virtualService("v", fmt.Sprint("g", i), 100))
	}
	f.write(f.virtualService("v", "one", 100)) // back to what the proxy holds already
	f.until(t, routeCounts(7, 0, 0))
}

func TestUpdateOfNumbersIsToldByItsPrint(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 1)
	f.write(f.virtualService("v", "one", 100))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.until(t, routeCounts(1, 0, 0))
	f.write(f.virtualService("v", "one", 50))
	f.write(f.virtualService("v", "one", 20)) // whose arrival could not be told from that of the other
	f.write(f.virtualService("v", "one", 20)) // no change at all
	f.until(t, routeCounts(4, 1, 2))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100), rendered("w", "two", 1))})
	f.taken(t, routeCounts(4, 1, 2))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 20))})
	f.until(t, routeCounts(4, 0, 2))
}

func TestRemovalOfAnObject(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 2)
	f.write(f.virtualService("v", "one", 100))
	for i := range s {
		s[i].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	}
	f.taken(t, routeCounts(1, 0, 0))
	f.write(removal(f.virtualService("v", "", 0)))
	f.clock.Advance(10 * time.Millisecond)
	s[0].push(t, rds, resources{routeConfig("80")})
	f.taken(t, routeCounts(2, 1, 0))
	s[1].push(t, rds, nil, "80")
	f.until(t, routeCounts(2, 0, 0))
	f.slowest(t, 10*time.Millisecond)
	if n := len(f.store.objects) + len(f.store.objectIDs); n > 0 {
		t.Errorf("%d things kept of an object that is gone", n)
	}
}

func TestRefusedWriteOfAnObjectIsForgotten(t *testing.T) {
	t.Parallel()
	f, _ := routed(t, 1)
	c := f.virtualService("v", "one", 100)
	told := 0
	c.Converged = func(_ time.Duration, observed bool) {
		if observed {
			t.Error("nobody has seen it")
		}
		told++
	}
	f.Track(c).Cancel()
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	f.until(t, routeCounts(0, 0, 0))
}

// A duration is text in the object and a number on the wire: its words are waited for by nobody.
func TestTextThatIsNoTextOnTheWire(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 1)
	timeout := func(d string) runtime.Change {
		c := f.virtualService("v", "one", 100)
		c.Config.Fields["spec.http[0].timeout"] = d
		return c
	}
	f.write(timeout("1s"))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.until(t, routeCounts(1, 0, 0))
	f.write(timeout("2s"))
	f.until(t, routeCounts(2, 1, 0))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 200))}) // stands for the other timeout
	f.until(t, routeCounts(2, 0, 0))
}
