package xdspool

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
)

// A stream that the scenario breaks comes back as one that was lost: with what the proxy holds, and not as a disconnect.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	for name, perConnection := range map[string]int{"own connection": 1, "shared connection": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *Config) { c.StreamsPerConnection = perConnection })
			f.Want(sidecar("p"))
			f.Want(sidecar("q"))
			for range 2 {
				f.server.accept(t).sidecar(t, map[string][]string{edsA: {podIP}})
			}
			f.until(t, runtime.Readings{"xds.synced": int64(2), "xds.reconnects": int64(0)})
			f.Disconnect("ns/p")
			f.Disconnect("ns/nobody")

			s := f.server.accept(t)
			s.next(t, cds)
			req := s.next(t, eds)
			if d := cmp.Diff(map[string]string{edsA: ""}, req.InitialResourceVersions); d != "" {
				t.Errorf("versions (-want +got):\n%s", d)
			}
			s.next(t, lds)
			s.push(t, cds, resources{edsCluster(edsA)})
			f.until(t, runtime.Readings{
				"xds.open": int64(2), "xds.disconnects": int64(0), "xds.reconnects": int64(1), "xds.sidecar.reconnects": int64(1),
			})
		})
	}
}
