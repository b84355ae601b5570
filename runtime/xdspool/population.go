package xdspool

import (
	"context"
	"errors"

	"github.com/plscript/plscript/runtime"
)

// member is a proxy that is wanted, or still connected.
type member struct {
	proxy  runtime.Proxy
	wanted bool
	client *client // nil while its pod does not run
}

// Want implements [runtime.Proxies]. Wanting a proxy that is wanted already changes nothing but its identity, and that
// from its next pod on.
func (p *Pool) Want(proxy runtime.Proxy) {
	p.update(proxy.Key(), func(key string) {
		m := p.members[key]
		if m == nil {
			m = &member{}
			p.members[key] = m
		}
		if m.wanted {
			p.stats.class[classIndex(m.proxy.Class)].desired--
		}
		m.proxy, m.wanted = proxy, true
		p.stats.class[classIndex(proxy.Class)].desired++
	})
}

// Forget implements [runtime.Proxies].
func (p *Pool) Forget(key string) {
	p.update(key, func(key string) {
		if m := p.members[key]; m != nil && m.wanted {
			m.wanted = false
			p.stats.class[classIndex(m.proxy.Class)].desired--
		}
	})
}

// PodRunning implements [runtime.PodEvents]. An ip other than before is a new pod of the same name.
func (p *Pool) PodRunning(key, ip string) {
	p.update(key, func(key string) { p.podIPs[key] = ip })
}

// PodGone implements [runtime.PodEvents].
func (p *Pool) PodGone(key string) {
	p.update(key, func(key string) { delete(p.podIPs, key) })
}

// update does f under the lock and then starts or stops the client of key, as it should be.
func (p *Pool) update(key string, f func(key string)) {
	p.mu.Lock()
	f(key)
	p.reconcile(key)
	p.mu.Unlock()
	p.notify()
}

// reconcile makes the client of key what its member says.
func (p *Pool) reconcile(key string) {
	m := p.members[key]
	if m == nil {
		return
	}
	identity, alive := m.proxy, m.wanted
	if m.proxy.Pod {
		var ip string
		if ip, alive = p.podIPs[key]; ip != "" {
			identity.IP = ip
		}
	} else if identity.IP == "" {
		identity.IP = clientIP
	}
	if m.client != nil && (!alive || m.client.proxy.IP != identity.IP) {
		p.remove(m.client)
		m.client = nil
	}
	if m.client == nil && m.wanted && alive && p.ctx != nil {
		m.client = p.start(identity)
	}
	if m.client == nil && !m.wanted {
		delete(p.members, key)
		return
	}
	if m.client != nil {
		m.client.wanted = m.wanted
		p.updateSynced(m.client)
	}
}

// start sets up a client and lets it run.
func (p *Pool) start(proxy runtime.Proxy) *client {
	ctx, cancel := context.WithCancel(p.ctx)
	c := &client{pool: p, proxy: proxy, class: classIndex(proxy.Class), cancel: cancel}
	c.speak(&p.cfg)
	for t := range c.types {
		c.types[t].table = p.store.empty[t]
		p.store.hold(p.store.empty[t])
	}
	p.tracker.join(c)
	p.running.Go(func() { c.run(ctx) })
	return c
}

// remove ends a client because plscript wants it to, which is no disconnect.
func (p *Pool) remove(c *client) {
	c.closed = true
	c.cancel()
	p.shut(c)
	p.forgetDemands(c)
	p.tracker.leave(c)
	for t := range c.types {
		p.store.release(c.types[t].table)
		c.types[t].table = p.store.empty[t]
	}
}

// opened notes that the stream of c is open.
func (p *Pool) opened(c *client) {
	if c.open {
		return
	}
	c.open = true
	c.now.at.open++
	s := &p.stats.class[c.class]
	s.open++
	if c.before {
		s.reconnects++
	}
	c.before = true
}

// shut notes that c has no stream.
func (p *Pool) shut(c *client) {
	if c.open {
		c.open = false
		c.now.at.open--
		p.stats.class[c.class].open--
	}
	c.now = nil
	for t := range c.types {
		delete(p.stats.awaited, answer{c, typ(t)})
		c.types[t].active = false
	}
	p.updateSynced(c)
}

// updateSynced keeps the count of synced proxies. Only wanted ones count, so that it can reach the number desired and
// not pass it.
func (p *Pool) updateSynced(c *client) {
	if now := c.wanted && !c.closed && c.isSynced(); now != c.synced {
		c.synced = now
		if now {
			p.stats.class[c.class].synced++
		} else {
			p.stats.class[c.class].synced--
		}
	}
}

// errBroken ends a stream that [Pool.Disconnect] breaks.
var errBroken = errors.New("broken by the scenario")

// Disconnect implements [runtime.Proxies].
func (p *Pool) Disconnect(key string) {
	p.mu.Lock()
	var s *call
	if m := p.members[key]; m != nil && m.client != nil {
		s = m.client.now
	}
	p.mu.Unlock()
	if s != nil {
		s.Closed(errBroken) // first, so that it is the reason
		s.stream.Close()
	}
}
