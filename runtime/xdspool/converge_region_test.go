package xdspool

import (
	"strings"
	"testing"
	"time"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/plscript/plscript/runtime"
)

// kindOf is a change of an object in namespace ns.
func (f *fixture) kindOf(groupKind, name string, fields map[string]any) runtime.Change {
	group, kind, _ := strings.Cut(groupKind, "/")
	key := runtime.ObjectKey{APIVersion: "v1", Kind: kind, Namespace: "ns", Name: name}
	if group != "" {
		key.APIVersion = group + "/v1"
	}
	ck, ok := runtime.ConfigChangeKind(key)
	if !ok {
		panic(groupKind + " is not followed")
	}
	return runtime.Change{Kind: ck, Scheduled: f.clock.Now(), Config: &runtime.ConfigChange{Object: key, Fields: fields}}
}

// telemetry is a change of a Telemetry that samples, and logs what an expression says.
func (f *fixture) telemetry(name string, sampling float64, expression string) runtime.Change {
	fields := map[string]any{"spec.tracing[0].randomSamplingPercentage": sampling}
	if expression != "" {
		fields["spec.accessLogging[0].filter.expression"] = expression
	}
	return f.kindOf("telemetry.istio.io/Telemetry", name, fields)
}

// listens is an inbound listener with statistics, which stand for what a Telemetry says, and an RBAC filter, which stands for
// what others do.
func listens(stats, rbac string) *discovery.Resource {
	return filters(inboundListener, filter("m", &hcm.HttpConnectionManager{HttpFilters: []*hcm.HttpFilter{
		httpFilter(statsFilter, text(stats)), httpFilter("rbac", text(rbac)),
	}}))
}

// says is an inbound listener with these in its statistics.
func says(all ...string) *discovery.Resource {
	m := &hcm.HttpConnectionManager{}
	for _, s := range all {
		m.HttpFilters = append(m.HttpFilters, httpFilter(statsFilter, text(s)))
	}
	return filters(inboundListener, filter("m", m))
}

// listening is synced proxies with that listener.
func listening(t *testing.T, all ...runtime.Proxy) (*fixture, []*session) {
	t.Helper()
	f := newFixture(t)
	var out []*session
	for _, p := range all {
		f.Want(p)
		s := f.server.accept(t)
		s.next(t, cds)
		s.push(t, cds, resources{staticCluster("outbound|80||a.ns.svc.cluster.local")})
		s.next(t, lds)
		s.push(t, lds, resources{listens("old", "old")})
		out = append(out, s)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(len(all))})
	return f, out
}

func elsewhere(name string) runtime.Proxy {
	p := sidecar(name)
	p.Namespace = "other"
	return p
}

// of are the counts of a kind of changes.
func of(kind runtime.ChangeKind, count, pending, unobserved, pairs int) runtime.Readings {
	p := "changes." + string(kind)
	return runtime.Readings{p + ".count": int64(count), p + ".pending": int64(pending), p + ".unobserved": int64(unobserved), p + ".pairs": int64(pairs)}
}

func TestObjectWithoutANameIsToldByWhatItShapes(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"), sidecar("b"), elsewhere("c"))
	told := make(chan bool, 1)
	c := f.telemetry("t", 1, "")
	c.Converged = func(took time.Duration, observed bool) { told <- observed && took == 100*time.Millisecond }
	f.write(c)
	f.clock.Advance(100 * time.Millisecond)
	s[2].push(t, lds, resources{listens("new", "old")}) // it cannot be because of the object
	f.taken(t, of(runtime.ChangeListener, 1, 1, 0, 0))
	s[0].push(t, lds, resources{listens("new", "old")})
	f.until(t, of(runtime.ChangeListener, 1, 0, 0, 1))
	if !<-told {
		t.Error("told something else")
	}
	s[1].push(t, lds, resources{listens("new", "new")})
	f.until(t, of(runtime.ChangeListener, 1, 0, 0, 2))

	f.clock.Advance(time.Second)
	f.write(f.telemetry("t", 2, "")) // awaited by both
	s[0].push(t, lds, resources{listens("newer", "new")})
	f.taken(t, of(runtime.ChangeListener, 2, 1, 0, 3))
	s[1].push(t, lds, resources{listens("newer", "new")})
	f.until(t, of(runtime.ChangeListener, 2, 0, 0, 4))

	f.write(removal(c))
	for i := range 2 {
		s[i].push(t, lds, resources{listens("old", "new")})
	}
	f.until(t, of(runtime.ChangeListener, 3, 0, 0, 6))
	if n := len(f.store.objects) + len(f.tracker.regional) + len(f.tracker.pending); n > 0 {
		t.Errorf("%d things kept of an object that is gone", n)
	}
}

func TestPushThatLeavesAllAsItWas(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"), sidecar("b"))
	f.write(f.telemetry("t", 1, ""))
	s[0].push(t, lds, resources{listens("old", "new")})
	f.taken(t, of(runtime.ChangeListener, 1, 1, 0, 0)) // the other may still get it
	s[1].push(t, lds, resources{listens("old", "new")})
	f.until(t, of(runtime.ChangeListener, 1, 0, 1, 0))
	// That was about something else: it comes after all.
	f.clock.Advance(3 * time.Second)
	s[1].push(t, lds, resources{listens("new", "new")})
	f.until(t, of(runtime.ChangeListener, 1, 0, 0, 1))
	if got := f.readings()["changes.listener.max"].(time.Duration); got < 3*time.Second {
		t.Errorf("it took %v", got)
	}
	// What showed nothing does not take what comes of the next one for its own.
	f.write(f.telemetry("u", 1, ""))
	s[0].push(t, lds, resources{listens("old", "newer")})
	s[1].push(t, lds, resources{listens("new", "newer")})
	f.until(t, of(runtime.ChangeListener, 2, 0, 1, 1))
	f.clock.Advance(3 * time.Second)
	f.write(f.telemetry("v", 1, ""))
	s[0].push(t, lds, resources{listens("newest", "newer")})
	f.taken(t, of(runtime.ChangeListener, 3, 0, 1, 2))
}

// TestARefusedResponseShowsNothing: what a proxy has not taken is no sign of a change without effect.
func TestARefusedResponseShowsNothing(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"))
	f.write(f.telemetry("t", 1, ""))
	broken := listens("new", "old")
	broken.Resource.Value = broken.Resource.Value[:len(broken.Resource.Value)-1]
	s[0].send(t, lds, []*discovery.Resource{broken})
	if req := s[0].next(t, lds); req.GetErrorDetail() == nil {
		t.Fatalf("got %v, want a NACK", req)
	}
	s[0].push(t, cds, nil) // what was refused has been worked on once this is answered
	f.until(t, of(runtime.ChangeListener, 1, 1, 0, 0))
	s[0].push(t, lds, resources{listens("new", "old")})
	f.until(t, of(runtime.ChangeListener, 1, 0, 0, 1))
}

func TestObjectsAtOnceAreToldByTheirWords(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"))
	f.write(f.telemetry("t", 1, ""))
	f.write(f.telemetry("u", 1, ""))                   // which of them is it?
	f.write(f.telemetry("v", 1, "path == 'mine'"))     // it has a word
	f.write(f.telemetry("w", 1, "path ==\n'another'")) // and one of two lines
	f.until(t, of(runtime.ChangeListener, 4, 3, 1, 0))
	s[0].push(t, lds, resources{says("path ==\n'another'")})
	f.until(t, of(runtime.ChangeListener, 4, 0, 2, 2)) // the first, too, as far as can be known
	s[0].push(t, lds, resources{says("path == 'mine'", "path ==\n'another'")})
	f.until(t, of(runtime.ChangeListener, 4, 0, 1, 3))

	for _, word := range []string{"second", "third", "fourth"} { // written faster than they arrive
		f.write(f.telemetry("v", 1, "path == '"+word+"'"))
	}
	f.until(t, of(runtime.ChangeListener, 7, 3, 1, 3))
	s[0].push(t, lds, resources{says("path == 'third'", "path ==\n'another'")})
	f.taken(t, of(runtime.ChangeListener, 7, 1, 1, 5))
	s[0].push(t, lds, resources{says("path == 'fourth'", "path ==\n'another'")})
	f.until(t, of(runtime.ChangeListener, 7, 0, 1, 6))
	f.write(removal(f.telemetry("v", 0, "")))
	s[0].push(t, lds, resources{says("path ==\n'another'")})
	f.until(t, of(runtime.ChangeListener, 8, 0, 1, 7))

	// Two that say the same tell nothing of each other, not even while the first is on its way.
	f.clock.Advance(time.Hour)
	f.write(f.telemetry("v", 1, "path == 'fifth'"))
	s[0].push(t, lds, resources{says("path == 'fifth'", "path ==\n'another'")})
	f.until(t, of(runtime.ChangeListener, 9, 0, 1, 8))
	f.write(f.telemetry("v", 1, "path == 'sixth'"))
	f.write(f.telemetry("w", 1, "path == 'sixth'"))
	s[0].push(t, lds, resources{says("path == 'sixth'")})
	f.until(t, of(runtime.ChangeListener, 11, 0, 3, 8))
}

func TestChangeThatCannotBeToldCastsAShadow(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"))
	f.write(f.telemetry("t", 1, ""))
	f.write(f.telemetry("t", 2, ""))
	s[0].push(t, lds, resources{listens("new", "")})
	f.until(t, of(runtime.ChangeListener, 2, 0, 1, 1))
	f.write(f.telemetry("t", 3, "")) // the second may be the next to arrive
	f.until(t, of(runtime.ChangeListener, 3, 0, 2, 1))
	f.clock.Advance(time.Minute)
	f.write(f.telemetry("t", 4, ""))
	f.until(t, of(runtime.ChangeListener, 4, 1, 2, 1))
	s[0].push(t, lds, resources{listens("newer", "")})
	f.until(t, of(runtime.ChangeListener, 4, 0, 2, 2))
	f.write(f.telemetry("t", 4, "")) // which changes nothing
	f.until(t, of(runtime.ChangeListener, 5, 0, 3, 2))
}

func TestAudienceOfAnObjectWithoutAName(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"), sidecar("b"))
	c := f.telemetry("t", 1, "")
	c.Config.Audience = func(runtime.Proxy) bool { return true }
	f.write(c)
	s[0].push(t, lds, resources{listens("new", "")})
	f.taken(t, of(runtime.ChangeListener, 1, 1, 0, 1))
	f.Forget("ns/b")
	f.until(t, of(runtime.ChangeListener, 1, 0, 0, 1))
	f.write(f.kindOf("networking.istio.io/ProxyConfig", "p", map[string]any{"spec.concurrency": int64(2)}))
	f.until(t, of(runtime.ChangeListener, 2, 0, 1, 1))
}

func TestScopes(t *testing.T) {
	t.Parallel()
	labelled := sidecar("l")
	labelled.Labels = map[string]string{"app": "web", "gateway.networking.k8s.io/gateway-name": "g"}
	with := func(p runtime.Proxy, c runtime.ProxyClass) runtime.Proxy { p.Class = c; return p }
	gateway, waypoint := with(labelled, runtime.ClassGateway), with(labelled, runtime.ClassWaypoint)
	far := gateway
	far.Namespace = "other"
	for name, c := range map[string]struct {
		kind      string
		namespace string
		fields    map[string]any
		p         runtime.Proxy
		want      bool
	}{
		"namespace":            {"telemetry.istio.io/Telemetry", "ns", nil, sidecar("a"), true},
		"another":              {"telemetry.istio.io/Telemetry", "ns", nil, elsewhere("a"), false},
		"mesh":                 {"telemetry.istio.io/Telemetry", rootNamespace, nil, elsewhere("a"), true},
		"ztunnel":              {"telemetry.istio.io/Telemetry", "ns", nil, with(labelled, runtime.ClassZtunnel), false},
		"selected":             {"security.istio.io/PeerAuthentication", "ns", map[string]any{"spec.selector.matchLabels.app": "web"}, labelled, true},
		"not selected":         {"security.istio.io/PeerAuthentication", "ns", map[string]any{"spec.selector.matchLabels.app": "db"}, labelled, false},
		"gateways take all":    {"security.istio.io/PeerAuthentication", "ns", nil, gateway, false},
		"workload":             {"networking.istio.io/Sidecar", "ns", map[string]any{"spec.workloadSelector.labels.app": "web"}, labelled, true},
		"targeted":             {"telemetry.istio.io/Telemetry", "other", map[string]any{"spec.targetRefs[0].name": "svc"}, waypoint, true},
		"targeted, sidecar":    {"telemetry.istio.io/Telemetry", "ns", map[string]any{"spec.targetRefs[0].name": "svc"}, labelled, false},
		"gateway anywhere":     {"networking.istio.io/Gateway", "ns", map[string]any{"spec.selector.app": "web"}, far, true},
		"gateway of others":    {"networking.istio.io/Gateway", "ns", map[string]any{"spec.selector.app": "db"}, far, false},
		"waypoint":             {"gateway.networking.k8s.io/Gateway", "ns", map[string]any{"spec.gatewayClassName": "istio-waypoint"}, waypoint, true},
		"no waypoint":          {"gateway.networking.k8s.io/Gateway", "ns", map[string]any{"spec.gatewayClassName": "istio-waypoint"}, gateway, false},
		"gateway, no waypoint": {"gateway.networking.k8s.io/Gateway", "ns", map[string]any{"spec.gatewayClassName": "istio"}, waypoint, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := regions[c.kind]
			key := runtime.ObjectKey{Namespace: c.namespace, Name: "g"}
			if got := r.covers(key, c.fields, c.p); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestEnvoyFilterIsLookedForWhereItPatches(t *testing.T) {
	t.Parallel()
	f, s := listening(t, sidecar("a"))
	filter := func(name, to string) runtime.Change {
		return f.kindOf("networking.istio.io/EnvoyFilter", name, map[string]any{"spec.configPatches[0].applyTo": to})
	}
	f.write(filter("c", "CLUSTER"))
	s[0].push(t, lds, resources{listens("new", "")})
	f.taken(t, of(runtime.ChangeListener, 1, 1, 0, 0))
	s[0].push(t, cds, resources{staticCluster("outbound|80||b.ns.svc.cluster.local")})
	f.until(t, of(runtime.ChangeListener, 1, 0, 0, 1))
	f.write(filter("b", "BOOTSTRAP")) // which no resource has
	f.until(t, of(runtime.ChangeListener, 2, 0, 1, 1))
	f.write(filter("l", "LISTENER"))
	s[0].push(t, lds, resources{listens("new", ""), pack("another", &listener.Listener{Name: "another"})})
	f.until(t, of(runtime.ChangeListener, 3, 0, 1, 2))
}

func TestSidecarRevealsWhatArrivedLongAgo(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 2)
	f.write(f.virtualService("v", "one", 100))
	s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	f.until(t, of(runtime.ChangeRoute, 1, 0, 0, 1))
	f.clock.Advance(time.Minute)
	f.write(f.kindOf("networking.istio.io/Sidecar", "s", map[string]any{"spec.egress[0].hosts[0]": "*/*"}))
	s[1].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
	s[1].push(t, cds, resources{staticCluster("outbound|80||more.ns.svc.cluster.local")})
	f.until(t, of(runtime.ChangeCluster, 1, 0, 0, 1))
	f.until(t, of(runtime.ChangeRoute, 1, 0, 0, 1)) // not a minute late
}
