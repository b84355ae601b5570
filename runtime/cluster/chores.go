package cluster

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// choreWorkers is how many slow things (reads, draining of namespaces) happen at once.
const choreWorkers = 8

// chore is something slow that is done outside of the watch handlers.
type chore func(ctx context.Context)

// wakeList is an unbounded queue whose readers can wait for more.
type wakeList[T any] struct {
	mu    sync.Mutex
	items []T
	wake  chan struct{}
}

func newWakeList[T any]() *wakeList[T] { return &wakeList[T]{wake: make(chan struct{}, 1)} }

func (l *wakeList[T]) add(v T) {
	l.mu.Lock()
	l.items = append(l.items, v)
	l.mu.Unlock()
	signal(l.wake)
}

// next waits for an item; false means that ctx is done.
func (l *wakeList[T]) next(ctx context.Context) (v T, ok bool) {
	for ctx.Err() == nil {
		l.mu.Lock()
		n := len(l.items)
		if n > 0 {
			var zero T
			v, l.items[0] = l.items[0], zero
			l.items = l.items[1:]
		}
		l.mu.Unlock()
		if n > 1 {
			signal(l.wake) // for the other readers
		}
		if n > 0 {
			return v, true
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
	}
	return v, false
}

// poll takes an item, if there is one.
func (l *wakeList[T]) poll() (v T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) == 0 {
		return v, false
	}
	v, l.items = l.items[0], l.items[1:]
	return v, true
}

func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (c *Cluster) doChores(ctx context.Context) {
	for {
		f, ok := c.chores.next(ctx)
		if !ok {
			return
		}
		f(ctx)
	}
}

// timetable holds chores that are due at a time.
type timetable struct {
	mu   sync.Mutex
	due  dueHeap
	wake chan struct{}
}

type dueChore struct {
	at time.Time
	do chore
}

func newTimetable() *timetable { return &timetable{wake: make(chan struct{}, 1)} }

func (t *timetable) add(at time.Time, do chore) {
	t.mu.Lock()
	heap.Push(&t.due, dueChore{at, do})
	t.mu.Unlock()
	signal(t.wake)
}

// take returns the chores that are due at now, and how long it is until the next; -1 if there is none.
func (t *timetable) take(now time.Time) (due []chore, next time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.due) > 0 {
		if d := t.due[0].at.Sub(now); d > 0 {
			return due, d
		}
		due = append(due, heap.Pop(&t.due).(dueChore).do)
	}
	return due, -1
}

// keepTimes hands out the chores of the timetable as they become due.
func (c *Cluster) keepTimes(ctx context.Context) {
	for ctx.Err() == nil {
		due, next := c.times.take(c.cfg.Clock.Now())
		for _, do := range due {
			c.chores.add(do)
		}
		var timer <-chan time.Time
		stop := func() {}
		if next >= 0 {
			timer, stop = c.cfg.Clock.After(next)
		}
		select {
		case <-timer:
		case <-c.times.wake:
		case <-ctx.Done():
		}
		stop()
	}
}

type dueHeap []dueChore

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueChore)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = dueChore{}
	*h = old[:len(old)-1]
	return last
}
