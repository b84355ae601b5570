package replay_test

import (
	"net"
	"testing"

	"github.com/plscript/plscript/runtime/xdspool/replay"
)

// TestPushInTurn: no stream has a second turn before all have had one.
func TestPushInTurn(t *testing.T) {
	t.Parallel()
	const streams, clusters = 3, 2
	r, err := load(clusters)
	if err != nil {
		t.Fatal(err)
	}
	s, err := replay.NewServer(r)
	if err != nil {
		t.Fatal(err)
	}
	eds := r.Answer(url("eds"))
	if n, err := s.PushInTurn(eds, 1); n != 0 || err != nil {
		t.Errorf("without streams: %d, %v", n, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), l) }()
	t.Cleanup(func() { <-served }) // its context ends before
	m := newMesh(t, l.Addr().String(), 0)
	m.want(streams)
	m.until(t, "xds.synced", streams)
	for round := range 2 {
		for _, n := range []int{2, 1} {
			if got, err := s.PushInTurn(eds, n); got != n || err != nil {
				t.Errorf("pushed to %d of %d: %v", got, n, err)
			}
		}
		m.until(t, "xds.eds.responses", streams*(2+round))
		nonces := map[string]int{} // which count the answers of a stream
		for _, p := range m.List() {
			for _, x := range p.Types {
				if x.Type == "EDS" {
					nonces[x.Nonce]++
				}
			}
		}
		if len(nonces) != 1 {
			t.Errorf("round %d: %v", round, nonces)
		}
	}
}
