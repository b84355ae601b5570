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
)

// stateSession is the server's side of one SotW stream.
type stateSession struct {
	stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer
	in     chan *discovery.DiscoveryRequest
	end    chan error
	nonces int
}

func (s *server) StreamAggregatedResources(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	ses := &stateSession{stream: stream, in: make(chan *discovery.DiscoveryRequest, 100), end: make(chan error, 1)}
	s.states <- ses
	go func() {
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

// next takes the next request, which must be of type of, for names, and with this nonce and version.
func (s *stateSession) next(t *testing.T, of typ, nonce, version string, names ...string) *discovery.DiscoveryRequest {
	t.Helper()
	select {
	case req := <-s.in:
		slices.Sort(req.ResourceNames)
		got := []any{req.TypeUrl, req.ResponseNonce, req.VersionInfo, req.ResourceNames}
		if d := cmp.Diff([]any{of.url(), nonce, version, names}, got); d != "" {
			t.Fatalf("request (-want +got):\n%s", d)
		}
		return req
	case <-time.After(patient):
		t.Fatalf("no request for %s", of)
		return nil
	}
}

// send sends all there is of a type, and returns the nonce and version.
func (s *stateSession) send(t *testing.T, of typ, all ...*discovery.Resource) (nonce, version string) {
	t.Helper()
	s.nonces++
	nonce, version = of.String()+string(rune('0'+s.nonces)), "v"+string(rune('0'+s.nonces))
	resp := &discovery.DiscoveryResponse{TypeUrl: of.url(), Nonce: nonce, VersionInfo: version}
	for _, r := range all {
		resp.Resources = append(resp.Resources, r.Resource)
	}
	if err := s.stream.Send(resp); err != nil {
		t.Fatal(err)
	}
	return nonce, version
}

func TestStateOfTheWorld(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := sidecar("p")
	p.SotW = true
	f.Want(p)
	s := <-f.server.states
	if first := s.next(t, cds, "", ""); first.GetNode().GetId() == "" {
		t.Error("the first request has no node")
	}
	nonce, version := s.send(t, cds, edsCluster(edsA), edsCluster(edsB), staticCluster("s"))
	s.next(t, eds, "", "", edsA, edsB)
	s.next(t, cds, nonce, version)
	edsNonce, edsVersion := s.send(t, eds, assignment(edsA, "10.0.0.7"), assignment(edsB))
	s.next(t, eds, edsNonce, edsVersion, edsA, edsB)
	s.next(t, lds, "", "")
	nonce, version = s.send(t, lds, httpListener("l1", "80"), httpListener("l2", "81"))
	s.next(t, rds, "", "", "80", "81")
	s.next(t, lds, nonce, version)
	nonce, version = s.send(t, rds, routes("80"), routes("81"))
	s.next(t, rds, nonce, version, "80", "81")
	f.until(t, runtime.Readings{"xds.synced": int64(1)})

	// What is left out is gone, in CDS and LDS; in EDS it has just not changed.
	cdsNonce, cdsVersion := s.send(t, cds, edsCluster(edsA))
	s.next(t, eds, edsNonce, edsVersion, edsA)
	s.next(t, cds, cdsNonce, cdsVersion)
	nonce, version = s.send(t, eds, assignment(edsA, "10.0.0.8"))
	s.next(t, eds, nonce, version, edsA)
	f.until(t, runtime.Readings{"xds.synced": int64(1)})
	if st := f.List()[0]; st.Types[0].Held != 1 || st.Types[1].Held != 1 {
		t.Errorf("holds %+v", st.Types)
	}
	s.end <- status.Error(codes.Unavailable, "restart")
	s = <-f.server.states
	s.next(t, cds, "", cdsVersion)
	s.next(t, eds, "", version, edsA)
}

func TestStateOfTheWorldNACK(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Fidelity = Fidelity{SotW: true, Refuse: map[string]float64{"cds": 1}} })
	f.Want(sidecar("p"))
	s := <-f.server.states
	s.next(t, cds, "", "")
	nonce, _ := s.send(t, cds, edsCluster(edsA))
	if req := s.next(t, cds, nonce, ""); req.GetErrorDetail().GetCode() != int32(codes.Internal) {
		t.Errorf("got %v, want a NACK", req)
	}
}

// Workload discovery is delta's alone: over SotW istiod would take each ACK for a first request, and answer it.
func TestStateOfTheWorldDiscoversNoWorkloads(t *testing.T) {
	t.Parallel()
	p := sidecar("p")
	p.Metadata = map[string]string{"ENABLE_HBONE": "true"}
	for _, state := range []bool{true, false} {
		c := &client{proxy: p}
		c.speak(&Config{Fidelity: Fidelity{SotW: state}})
		if c.discovers == state || c.state != state {
			t.Errorf("SotW %v: discovers workloads %v", state, c.discovers)
		}
	}
}
