package xdspool

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// address is one istiod.
type address struct {
	name string // host:port
	pace *pacer

	// Guarded by Pool.mu.
	open   int // streams
	used   int // clients that are connected, or wait to be
	failed int // connects that came to nothing, ever
}

// place is what was configured: one address, or a name that stands for several.
type place struct {
	cfg        *Config
	host, port string // of a name that is looked up

	// Guarded by Pool.mu. Addresses that the name stood for before are kept while they are used.
	all     []*address
	current int // how many of all, from the first, are what the name stands for now
	turns   int

	lookup sync.Mutex // one at a time
	until  time.Time  // how long what was found is good; guarded by lookup
}

// lookupAge is how long what a name stands for is not asked again: a thousand proxies that come back at once ask once.
const lookupAge = 5 * time.Second

// newPlace is a place for one of [Config].Addresses.
func newPlace(cfg *Config, name string) *place {
	p := &place{cfg: cfg}
	host, port, err := net.SplitHostPort(name)
	// Of the addresses of localhost an istiod, or what forwards to it, listens at one.
	if _, literal := netip.ParseAddr(host); cfg.Lookup != nil && err == nil && literal != nil && host != "localhost" {
		p.host, p.port = host, port
		return p
	}
	p.all, p.current = []*address{p.address(name)}, 1
	return p
}

func (p *place) address(name string) *address {
	return &address{name: name, pace: newPacer(p.cfg.Clock, p.cfg.ConnectRate, p.cfg.Hold)}
}

// nextAddress returns the address of the next connect, in turn over the places and over what each stands for, but not the
// one where c has just tried in vain if there is another. The caller has to give it to leaveAddress.
func (p *Pool) nextAddress(ctx context.Context, c *client) (*address, error) {
	for again := true; ; again = false {
		p.mu.Lock()
		at := p.places[p.turns%len(p.places)]
		p.turns++
		p.mu.Unlock()
		if err := p.resolve(ctx, at); err != nil {
			return nil, err
		}
		p.mu.Lock()
		a := at.all[at.turns%at.current]
		at.turns++
		if a != c.missed || !again {
			a.used++
			p.mu.Unlock()
			return a, nil
		}
		p.mu.Unlock()
	}
}

func (p *Pool) leaveAddress(a *address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.used--
}

// missed notes a connect of c to a that came to nothing.
func (p *Pool) missed(c *client, a *address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.failed++
	c.missed = a
}

// resolve finds out what a place stands for, unless that is known.
func (p *Pool) resolve(ctx context.Context, at *place) error {
	if at.host == "" {
		return nil
	}
	at.lookup.Lock()
	defer at.lookup.Unlock()
	now := p.cfg.Clock.Now()
	if now.Before(at.until) {
		return nil
	}
	hosts, err := p.cfg.Lookup(ctx, at.host)
	if err == nil && len(hosts) == 0 {
		err = fmt.Errorf("%s has no address", at.host)
	}
	if err != nil {
		return fmt.Errorf("looking up istiod: %w", err)
	}
	at.until = now.Add(lookupAge)
	slices.Sort(hosts)
	p.mu.Lock()
	defer p.mu.Unlock()
	at.stand(slices.Compact(hosts))
	return nil
}

// stand makes hosts what the place stands for.
func (p *place) stand(hosts []string) {
	var next []*address
	for _, host := range hosts {
		name := net.JoinHostPort(host, p.port)
		i := slices.IndexFunc(p.all, func(a *address) bool { return a.name == name })
		if i < 0 {
			next = append(next, p.address(name))
			continue
		}
		next = append(next, p.all[i])
		p.all = slices.Delete(p.all, i, i+1)
	}
	p.current = len(next)
	for _, a := range p.all {
		if a.used > 0 {
			next = append(next, a)
		}
	}
	p.all = next
}

// AddressStatus is one istiod as the pool sees it.
type AddressStatus struct {
	Address string // host:port
	Open    int    // streams open to it now
	Failed  int    // connects that ended before a response, refused ones included
}

// Addresses returns how the open streams are spread over the istiods, in the order of their configuration.
func (p *Pool) Addresses() []AddressStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []AddressStatus
	for _, at := range p.places {
		for i, a := range at.all {
			if i < at.current || a.open > 0 {
				out = append(out, AddressStatus{a.name, a.open, a.failed})
			}
		}
	}
	return out
}

// readAddresses sets how the streams are spread.
func (p *Pool) readAddresses(out runtime.Readings) {
	istiods, most, least := 0, 0, -1
	for _, at := range p.places {
		for i, a := range at.all {
			if a.open > 0 {
				istiods++
			}
			most = max(most, a.open)
			if i < at.current && (least < 0 || a.open < least) {
				least = a.open
			}
		}
	}
	out["xds.istiods"] = int64(istiods)
	out["xds.mostPerIstiod"] = int64(most)
	out["xds.leastPerIstiod"] = int64(max(least, 0))
}
