package xdspool

import (
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/plscript/plscript/runtime"
)

func TestNamespaceEnds(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 2)
	f.Want(runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "istio-system", Name: "z", IP: "10.0.0.2"})
	z := f.server.accept(t)
	z.next(t, wds)
	z.next(t, wads)
	z.push(t, wds, nil)
	z.push(t, wads, nil)
	f.until(t, runtime.Readings{"xds.synced": int64(3)})

	f.write(f.endpoint(false))                     // the sidecars are subscribed, and the ztunnel
	f.write(f.virtualService("v", "one", 100))     // which shows nowhere
	other := f.virtualService("other", "one", 100) // is nobody's business here
	other.Config.Object.Namespace = "other"
	f.write(other)
	s[0].give(t, podIP)
	f.taken(t, runtime.Readings{"changes.pending": int64(3), "changes.endpoint.pairs": int64(1)})

	end := runtime.NamespaceRemoval("ns")
	end.Scheduled = f.clock.Now()
	f.write(end)
	// Whoever does not show the endpoint by now never will, and the ztunnel least of all.
	f.until(t, runtime.Readings{"changes.endpoint.pending": int64(0), "changes.route.pending": int64(1), "changes.cluster.pending": int64(1)})
	for i := range s {
		s[i].drop(t, edsA)
		s[i].drop(t, edsA2)
		f.taken(t, of(runtime.ChangeCluster, 1, 1, 0, i)) // another service is still there
		s[i].drop(t, edsB)
	}
	f.until(t, of(runtime.ChangeCluster, 1, 0, 0, 2))
	f.until(t, runtime.Readings{"changes.route.unobserved": int64(1), "changes.pending": int64(1)})
	if n := len(f.store.objects); n != 1 {
		t.Errorf("%d objects kept", n)
	}
}

// drop takes a cluster away.
func (s *session) drop(t *testing.T, name string) {
	t.Helper()
	nonce := s.send(t, cds, nil, name)
	s.names(t, eds, nil, []string{name})
	s.ack(t, cds, nonce)
}

func TestEndOfANamespaceThatNobodyKnows(t *testing.T) {
	t.Parallel()
	f, _ := audience(t, 1)
	f.write(runtime.NamespaceRemoval("unknown"))
	f.until(t, of(runtime.ChangeCluster, 1, 0, 1, 0))
}

func TestEndpointsOfAServiceEntry(t *testing.T) {
	t.Parallel()
	const host, name = "fixed.example.com", "outbound|80||fixed.example.com"
	f, s := audience(t, 2)
	entry := func(ips ...string) runtime.Change {
		fields := map[string]any{"spec.hosts[0]": host}
		for i, a := range ips {
			fields["spec.endpoints["+string(rune('0'+i))+"].address"] = a
		}
		return f.kindOf("networking.istio.io/ServiceEntry", "e", fields)
	}
	f.write(entry("100.64.0.1"))
	for i := range s {
		nonce := s[i].send(t, cds, resources{edsCluster(name)})
		s[i].names(t, eds, []string{name}, nil)
		s[i].ack(t, cds, nonce)
		s[i].push(t, eds, resources{assignment(name, "100.64.0.1")})
	}
	f.taken(t, of(runtime.ChangeCluster, 1, 0, 0, 2))
	f.write(entry("100.64.0.2"))
	s[0].push(t, eds, resources{assignment(edsA, podIP)}) // another's
	s[0].push(t, eds, resources{assignment(name, "100.64.0.2")})
	f.taken(t, of(runtime.ChangeCluster, 2, 1, 0, 3))
	s[1].push(t, eds, resources{assignment(name, "100.64.0.2")})
	f.until(t, of(runtime.ChangeCluster, 2, 0, 0, 4))
	f.clock.Advance(time.Minute)
	f.write(entry()) // no word is new: the endpoints have to be others
	for i := range s {
		f.taken(t, of(runtime.ChangeCluster, 3, 1, 0, 4+i))
		s[i].push(t, eds, resources{assignment(name)})
	}
	f.until(t, of(runtime.ChangeCluster, 3, 0, 0, 6))
	f.Want(runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "istio-system", Name: "z", IP: "10.0.0.2"})
	z := f.server.accept(t)
	z.next(t, wds)
	z.next(t, wads)
	z.push(t, wads, nil)
	z.push(t, wds, resources{namedString("ns/"+host, "its ports")})
	f.until(t, runtime.Readings{"xds.ztunnel.synced": int64(1)})
	f.clock.Advance(time.Minute)
	update := entry()
	update.Config.Fields["spec.resolution"] = "STATIC" // what a ztunnel knows of it stays the same
	f.write(update)
	for i := range s {
		s[i].push(t, eds, resources{assignment(name, "100.64.0.3")})
	}
	f.until(t, of(runtime.ChangeCluster, 4, 0, 0, 8))
	f.write(removal(entry()))
	z.push(t, wds, nil, "ns/"+host)
	for i := range s {
		s[i].drop(t, name)
	}
	f.until(t, of(runtime.ChangeCluster, 5, 0, 0, 11))
}

func TestPortsOfAService(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1)
	service := func(app string, ports ...int64) runtime.Change {
		fields := map[string]any{"spec.selector.app": app}
		for i, p := range ports {
			fields["spec.ports["+string(rune('0'+i))+"].port"] = p
		}
		return f.kindOf("/Service", "extra", fields)
	}
	cluster := func(port string) *discovery.Resource {
		return staticCluster("outbound|" + port + "||extra.ns.svc.cluster.local")
	}
	f.write(service("a", 80))
	s[0].push(t, cds, resources{cluster("80")})
	f.until(t, of(runtime.ChangeCluster, 1, 0, 0, 1))
	f.write(service("b", 80)) // which pods it selects is no matter of its clusters
	f.until(t, of(runtime.ChangeCluster, 2, 0, 1, 1))
	f.write(service("b", 80, 81))
	s[0].push(t, cds, resources{cluster("80")})
	f.taken(t, of(runtime.ChangeCluster, 3, 1, 1, 1))
	s[0].push(t, cds, resources{cluster("81")})
	f.until(t, of(runtime.ChangeCluster, 3, 0, 1, 2))
}
