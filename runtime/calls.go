package runtime

import (
	"context"
	"sync"
)

// maxCalls is how many requests to istiod's webhook and certificate authority a run has under way: more than an istiod
// of a few cores answers at once, and few enough connections to keep.
const maxCalls = 16

// calls makes the requests to istiod that come before a write or in place of it: a bounded number at a time, in the order
// they were asked for, and off the path of arrivals.
type calls struct {
	bulk chan struct{} // holds a token for each call of a bulk step, so that the step waits and not the queue grows

	mu      sync.Mutex
	queue   []func()
	workers int
}

func newCalls() *calls { return &calls{bulk: make(chan struct{}, 2*maxCalls)} }

// wait holds a bulk step back while enough of its calls are waiting. Each has to be followed by freed.
func (c *calls) wait(ctx context.Context) error {
	select {
	case c.bulk <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *calls) freed() { <-c.bulk }

// do has f called soon, and returns.
func (c *calls) do(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, f)
	if c.workers < maxCalls {
		c.workers++
		go c.work()
	}
}

// work makes calls until none waits.
func (c *calls) work() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.workers--
			c.queue = nil // what it has grown to, after a burst
			c.mu.Unlock()
			return
		}
		f := c.queue[0]
		c.queue[0], c.queue = nil, c.queue[1:]
		c.mu.Unlock()
		f()
	}
}
