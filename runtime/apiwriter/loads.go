package apiwriter

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

const (
	// aheadMax is how many running pods bulk writes may have stored that nobody who watches has reported to have seen.
	// An api-server cuts off a watch that does not take its events at once: the buffer of one that began on a small
	// cluster holds ten (Kubernetes, cacher/watch_cache.go, suggestedWatchChannelSize). Clients resume, but one that is
	// cut off twice in a second lists everything again, and istiod would do so in the middle of the load.
	aheadMax = 128
	// aheadPatience is how long bulk writes wait for a report before they go on without: the watch may be broken.
	aheadPatience = time.Second
	// calmPatience is how long after its begin a load is waited for.
	calmPatience = 10 * time.Second
)

// loads knows into which namespaces bulk writes are under way, and how far the watchers are behind. A controller that
// follows the mesh can wait for the end of a load, and write once what it would otherwise write again with every
// object that it sees; in return it says what it has seen, so that the load does not run away from it.
type loads struct {
	clock runtime.Clock
	wake  func() // called when bulk writes may go on

	mu    sync.Mutex
	open  map[string]*load
	over  func(namespace string, pods int) // nil: nobody follows
	ahead int                              // running pods that were stored and not seen
	since time.Time                        // of the last that was stored below the bound, or seen
	begun time.Time                        // when there was the first of the open loads
	calm  chan struct{}                    // closed when none is open, or when arrivals come too; nil then
}

// load is the bulk writes into one namespace that are queued or in flight.
type load struct {
	writes int
	pods   int // stored so far, and running
}

func newLoads(clock runtime.Clock, wake func()) *loads {
	return &loads{clock: clock, wake: wake, open: map[string]*load{}}
}

// begin counts a bulk write.
func (l *loads) begin(namespace string) {
	if namespace == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.open[namespace]
	if in == nil {
		if len(l.open) == 0 {
			l.begun, l.calm = l.clock.Now(), make(chan struct{})
		}
		in = &load{}
		l.open[namespace] = in
	}
	in.writes++
}

// end takes a bulk write out of the count, and tells of the end of the load. made is what it created, or nil.
func (l *loads) end(namespace string, made runtime.Object) {
	if namespace == "" {
		return
	}
	l.mu.Lock()
	in := l.open[namespace]
	if pod, ok := made.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning && l.over != nil {
		in.pods++
		if l.ahead++; l.ahead <= aheadMax {
			l.since = l.clock.Now()
		}
	}
	in.writes--
	over := l.over
	if in.writes > 0 {
		over = nil
	} else {
		delete(l.open, namespace)
		if len(l.open) == 0 {
			l.settle()
		}
	}
	l.mu.Unlock()
	if over != nil {
		over(namespace, in.pods)
	}
}

// hold reports whether bulk writes have to wait, and for how long at most.
func (l *loads) hold() (wait time.Duration, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ahead < aheadMax {
		return 0, false
	}
	if wait = aheadPatience - l.clock.Now().Sub(l.since); wait <= 0 {
		l.ahead = 0
		return 0, false
	}
	return wait, true
}

// seen notes that a running pod which bulk writes stored has reached somebody who watches.
func (l *loads) seen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = l.clock.Now()
	if l.ahead == aheadMax {
		defer l.wake()
	}
	l.ahead = max(0, l.ahead-1)
}

// settle lets go those who wait for the open loads. The caller holds l.mu.
func (l *loads) settle() {
	if l.calm != nil {
		close(l.calm)
		l.calm = nil
	}
}

// arrival notes a write of a rate step: what its pods do is measured, and may not wait for a load that goes on beside it.
func (l *loads) arrival() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle()
}

// AwaitLoad waits while a bulk load into a sandbox's store goes on and nothing is measured beside it, for as long as the
// load is less than 10 s old; it returns ctx's error if ctx ends first. A proxy that connects while a load goes on competes with
// it for the processor, and is told of a mesh that changes again before it has been read.
func (w *Writer) AwaitLoad(ctx context.Context) error {
	if w.cfg.Store == nil {
		return nil
	}
	l := w.loads
	l.mu.Lock()
	calm, patience := l.calm, calmPatience-l.clock.Now().Sub(l.begun)
	l.mu.Unlock()
	if calm == nil || patience <= 0 {
		return nil
	}
	timer, stop := l.clock.After(patience)
	defer stop()
	select {
	case <-calm:
	case <-timer:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Loading reports whether bulk writes into the namespace are queued or in flight.
func (w *Writer) Loading(namespace string) bool {
	w.loads.mu.Lock()
	defer w.loads.mu.Unlock()
	return w.loads.open[namespace] != nil
}

// OnLoaded has f called whenever the last of the bulk writes into a namespace has ended, with the number of pods that
// they stored as running. It replaces an earlier f; what ended before is not told. Whoever calls it reports each of these
// pods to Seen.
func (w *Writer) OnLoaded(f func(namespace string, pods int)) {
	w.loads.mu.Lock()
	defer w.loads.mu.Unlock()
	w.loads.over = f
}

// Seen reports that a pod which bulk writes stored as running was seen. Bulk writes wait for those who watch.
func (w *Writer) Seen() { w.loads.seen() }
