package oracle_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
)

// falsified is a pool whose proxies hold something else than they do.
type falsified struct {
	*xdspool.Pool
	mu      sync.Mutex
	falsify func(call int, held map[string]map[string]uint64)
	calls   int
}

func (f *falsified) Present(ctx context.Context, key string) (*xdspool.Presence, error) {
	p, err := f.Pool.Present(ctx, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if err == nil && f.falsify != nil {
		f.falsify(f.calls, p.Held)
	}
	return p, err
}

func TestAudits(t *testing.T) {
	t.Parallel()
	pool, address := syncedGateway(t)
	f := &falsified{Pool: pool}
	a := &oracle.Auditor{Pool: f, Address: address, Clock: clock{}}
	readings := func() runtime.Readings {
		r := runtime.Readings{}
		a.Read(r)
		return r
	}
	if r := readings(); len(r) != 0 {
		t.Errorf("there is %v before the first audit", r)
	}
	own := []oracle.Difference{{"ns/gw", "CDS", "own", oracle.Stale}, {"ns/gw", "LDS", "own", oracle.Stale}} // which the server makes for each
	audit := func(want ...oracle.Difference) {
		t.Helper()
		got, err := a.Audit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got.Differences); d != "" {
			t.Errorf("differences (-want +got):\n%s", d)
		}
		if len(got.Checked) != 1 {
			t.Errorf("checked %v", got.Checked)
		}
	}
	audit(own...)
	f.falsify = func(_ int, held map[string]map[string]uint64) {
		held[url("cds")]["c"]++
		held[url("cds")]["old"] = 1
		delete(held[url("lds")], "l")
	}
	audit(
		oracle.Difference{Proxy: "ns/gw", Type: "CDS", Name: "c", Problem: oracle.Stale},
		oracle.Difference{Proxy: "ns/gw", Type: "CDS", Name: "old", Problem: oracle.NeverRemoved}, own[0],
		oracle.Difference{Proxy: "ns/gw", Type: "LDS", Name: "l", Problem: oracle.Lost}, own[1],
	)
	// What a proxy holds differs each time: pushes are under way, and none is lost.
	f.falsify = func(call int, held map[string]map[string]uint64) { held[url("cds")]["c"] = uint64(call) }
	audit(own...)
	if d := cmp.Diff(runtime.Readings{"oracle.checked": int64(3), "oracle.differences": int64(9)}, readings()); d != "" {
		t.Errorf("readings (-want +got):\n%s", d)
	}
	if got := (oracle.Difference{Proxy: "ns/p", Type: "EDS", Name: "a", Problem: oracle.Lost}).String(); got != "ns/p: EDS a was lost" {
		t.Error(got)
	}
}
