package xdspool

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool/h2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func TestStreamsShareConnections(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.StreamsPerConnection = 2 })
	peers := map[string]int{}
	var all []*session
	for i := range 5 {
		f.Want(sidecar(fmt.Sprint("p", i)))
	}
	for range 5 {
		s := f.server.accept(t)
		all = append(all, s)
		s.sidecar(t, nil)
		p, _ := peer.FromContext(s.stream.Context())
		peers[p.Addr.String()]++
	}
	if len(peers) != 3 {
		t.Errorf("connections: %v, want 3", peers)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(5)})
	all[0].end <- status.Error(codes.Unavailable, "one of them")
	f.server.accept(t).next(t, cds)
	f.until(t, runtime.Readings{"xds.open": int64(4), "xds.disconnects": int64(1)}) // the others go on
	for i := range 5 {
		f.Forget(fmt.Sprint("ns/p", i))
	}
	f.until(t, runtime.Readings{"xds.open": int64(0), "xds.disconnects": int64(1)})
	for _, s := range all[1:] {
		s.gone(t)
	}
}

func TestAddressesAreCounted(t *testing.T) {
	t.Parallel()
	second := newServer(t)
	f := newFixture(t, func(c *Config) { c.Addresses = append(c.Addresses, second.address) })
	for i := range 3 {
		f.Want(sidecar(fmt.Sprint("p", i)))
	}
	for _, s := range []*server{f.server, second, f.server} {
		s.accept(t).sidecar(t, nil)
	}
	f.until(t, runtime.Readings{"xds.open": int64(3)})
	want := []AddressStatus{{Address: f.server.address, Open: 2}, {Address: second.address, Open: 1}}
	if d := cmp.Diff(want, f.Addresses()); d != "" {
		t.Errorf("addresses (-want +got):\n%s", d)
	}
	f.Forget("ns/p0")
	f.Forget("ns/p1")
	f.Forget("ns/p2")
	f.until(t, runtime.Readings{"xds.open": int64(0)})
	if d := cmp.Diff([]AddressStatus{{Address: f.server.address}, {Address: second.address}}, f.Addresses()); d != "" {
		t.Errorf("addresses (-want +got):\n%s", d)
	}
}

// TestAddressThatNobodyHas: the streams go to the others, and the report can say why.
func TestAddressThatNobodyHas(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // one that was free a moment ago may be somebody's by now
	f := newFixture(t, func(c *Config) { c.Addresses = append([]string{nobody}, c.Addresses...) })
	for _, name := range []string{"p0", "p1", "p2"} {
		f.Want(sidecar(name))
	}
	for range 3 {
		f.server.accept(t).sidecar(t, nil)
	}
	f.until(t, runtime.Readings{"xds.synced": int64(3), "xds.istiods": int64(1), "xds.mostPerIstiod": int64(3), "xds.leastPerIstiod": int64(0)})
	if got := f.Addresses(); len(got) != 2 || got[0].Open != 0 || got[0].Failed < 1 || got[0].Failed > 3 || got[1].Open != 3 || got[1].Failed != 0 {
		t.Errorf("addresses %+v", got)
	}
}

// TestNextAddress: a proxy that has tried one istiod in vain tries another, whoever came between.
func TestNextAddress(t *testing.T) {
	t.Parallel()
	p := New(Config{Addresses: []string{"127.0.0.1:1", "127.0.0.1:2"}, Clock: newClock()})
	c, other := &client{}, &client{}
	next := func(c *client) *address {
		a, err := p.nextAddress(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := next(c)
	p.missed(c, first)
	if second := next(other); second == first {
		t.Errorf("the second proxy goes to %s as well", first.name)
	}
	if again := next(c); again == first {
		t.Errorf("after a connect in vain, %s is tried again", first.name)
	}
	alone := New(Config{Addresses: []string{"127.0.0.1:1"}, Clock: newClock()})
	a, err := alone.nextAddress(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.missed = a
	if again, err := alone.nextAddress(t.Context(), c); again != a || err != nil {
		t.Errorf("where there is no other: %v, %v", again, err)
	}
}

// authenticator answers once with an error.
type authenticator struct{ failed bool }

func (a *authenticator) Credentials(_ context.Context, p runtime.Proxy) (Credentials, error) {
	if !a.failed {
		a.failed = true
		return Credentials{}, errors.New("no token")
	}
	return Credentials{Header: []h2.Header{{Name: "authorization", Value: "Bearer " + p.Name}}}, nil
}

func TestCredentialsAreShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Auth = &authenticator{} })
	f.Want(sidecar("p"))
	s := f.server.accept(t)
	md, _ := metadata.FromIncomingContext(s.stream.Context())
	if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer p" {
		t.Errorf("authorization %q", got)
	}
}
