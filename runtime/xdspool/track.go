package xdspool

import "github.com/plscript/plscript/runtime"

// Track implements [runtime.Changes]. A change whose marker is no IP address, or that no proxy is subscribed to, ends as
// unobserved.
func (p *Pool) Track(c runtime.Change) runtime.TrackedChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Scheduled.IsZero() {
		c.Scheduled = p.cfg.Clock.Now()
	}
	return tracked{p, p.tracker.track(c, p.cfg.Clock.Now())}
}

// tracked is a change as its writer sees it.
type tracked struct {
	pool *Pool
	ch   *change
}

// Written implements [runtime.TrackedChange].
func (t tracked) Written() {
	t.pool.mu.Lock()
	t.pool.tracker.write(t.ch, t.pool.cfg.Clock.Now())
	t.pool.mu.Unlock()
	t.pool.notify()
}

// Cancel implements [runtime.TrackedChange]. After Written it does nothing.
func (t tracked) Cancel() {
	t.pool.mu.Lock()
	t.pool.tracker.cancel(t.ch)
	t.pool.mu.Unlock()
	t.pool.notify()
}
