package apiwriter

import (
	"context"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// priorities is how many there are; runtime.PriorityControl is 0, the most urgent.
const priorities = int(runtime.PriorityBulk) + 1

// unlisted is the listing of a lane that waits in no ready list.
const unlisted runtime.Priority = -1

type jobState int

const (
	waiting jobState = iota
	sending
	parked // between two attempts
)

// job is one submitted write on its way to its fate.
type job struct {
	op      runtime.Op
	target  target
	ctx     context.Context // the submitter's
	account *series

	lane     *lane
	state    jobState
	slot     bool // holds one of the places for bulk writes
	attempts int
	first    time.Time // start of the first attempt
	reread   bool      // the last attempt met a conflict: read before writing again
}

// mergeable reports whether later may take the place of j: both replace the same part of the same object.
func (j *job) mergeable(later *job) bool {
	return j.op.Verb == later.op.Verb && (j.op.Verb == runtime.VerbUpdate || j.op.Verb == runtime.VerbStatus)
}

// lane holds the writes of one object in their order. While it is busy, jobs[0] is in flight or between two attempts.
type lane struct {
	jobs   []*job
	busy   bool
	listed runtime.Priority
}

// priority is that of the most urgent job: an urgent write lifts those of the same object before it.
func (l *lane) priority() runtime.Priority {
	p := runtime.PriorityBulk
	for _, j := range l.jobs {
		p = min(p, j.op.Priority)
	}
	return p
}

// merge removes the jobs behind the one in flight that a later neighbour replaces, and returns them.
func (l *lane) merge() []*job {
	if !l.busy || len(l.jobs) < 3 {
		return nil
	}
	var gone []*job
	kept := l.jobs[:1]
	for i, j := range l.jobs[1:] {
		if next := i + 2; next < len(l.jobs) && j.mergeable(l.jobs[next]) {
			into := &l.jobs[next].op
			into.Priority, into.Setup = min(into.Priority, j.op.Priority), into.Setup && j.op.Setup
			gone = append(gone, j)
			continue
		}
		kept = append(kept, j)
	}
	clear(l.jobs[len(kept):])
	l.jobs = kept
	return gone
}

// queue orders jobs: by priority, then by arrival, and by arrival alone within one object. It holds no goroutine.
type queue struct {
	mu         sync.Mutex
	lanes      map[objectID]*lane
	ready      [priorities]fifo[*lane]
	counts     [priorities]int // jobs not in a request, by the priority they were submitted with
	maxPending int
	closed     bool
	wake       chan struct{} // holds a token when a lane became ready
}

func newQueue(maxPending int) *queue {
	return &queue{lanes: map[objectID]*lane{}, maxPending: maxPending, wake: make(chan struct{}, 1)}
}

// push adds j, and returns the jobs that it replaces. It refuses with runtime.ErrDropped or ErrClosed.
func (q *queue) push(j *job) (superseded []*job, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if j.op.Priority == runtime.PriorityRate && q.counts[runtime.PriorityRate] >= q.maxPending {
		return nil, runtime.ErrDropped
	}
	l := q.lanes[j.target.id]
	if l == nil {
		l = &lane{listed: unlisted}
		q.lanes[j.target.id] = l
	}
	j.lane, j.state = l, waiting
	l.jobs = append(l.jobs, j)
	q.counts[j.op.Priority]++
	superseded = q.merged(l)
	q.list(l)
	return superseded, nil
}

// next starts the most urgent job, or returns nil if none may start; while held, bulk writes may not. Starting one may
// supersede others.
func (q *queue) next(held bool) (start *job, superseded []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := range q.ready {
		if held && runtime.Priority(p) == runtime.PriorityBulk {
			break
		}
		for {
			l, ok := q.ready[p].pop()
			if !ok {
				break
			}
			if l.listed != runtime.Priority(p) {
				continue // it was listed again under another priority
			}
			l.listed, l.busy = unlisted, true
			start = l.jobs[0]
			start.state = sending
			q.counts[start.op.Priority]--
			return start, q.merged(l)
		}
	}
	return nil, nil
}

// merged takes the superseded jobs of l out of the counts. A job's count is that of its own priority when it was
// counted, which merging may have raised on the job that stays.
func (q *queue) merged(l *lane) []*job {
	before := [priorities]int{}
	for _, j := range l.jobs {
		before[j.op.Priority]++
	}
	gone := l.merge()
	if gone == nil {
		return nil
	}
	for _, j := range l.jobs {
		before[j.op.Priority]--
	}
	for p, n := range before {
		q.counts[p] -= n
	}
	return gone
}

// park keeps the lane of j busy between two attempts.
func (q *queue) park(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.state = parked
	q.counts[j.op.Priority]++
}

// unpark makes a parked job ready for its next attempt; false means that the queue is closed.
func (q *queue) unpark(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	j.state, j.lane.busy = waiting, false
	q.list(j.lane)
	return true
}

// release ends j, the first of its lane, and lets the next of the same object start.
func (q *queue) release(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.state == parked {
		q.counts[j.op.Priority]--
	}
	l := j.lane
	l.jobs[0] = nil
	l.jobs, l.busy = l.jobs[1:], false
	if len(l.jobs) == 0 {
		delete(q.lanes, j.target.id)
		return
	}
	q.list(l)
}

// close refuses further jobs, and takes those that wait out of the queue.
func (q *queue) close() (waitingJobs []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for id, l := range q.lanes {
		kept := l.jobs[:0:0]
		for _, j := range l.jobs {
			if j.state != waiting {
				kept = append(kept, j)
				continue
			}
			q.counts[j.op.Priority]--
			waitingJobs = append(waitingJobs, j)
		}
		if l.jobs, l.listed = kept, unlisted; len(kept) == 0 {
			delete(q.lanes, id)
		}
	}
	return waitingJobs
}

func (q *queue) pending() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.counts {
		n += c
	}
	return n
}

// list puts a lane that may start into the ready list of its priority.
func (q *queue) list(l *lane) {
	if l.busy {
		return
	}
	if p := l.priority(); l.listed == unlisted || p < l.listed {
		l.listed = p
		q.ready[p].push(l)
		q.poke()
	}
}

// poke has whoever waits for a job look again.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// fifo is a queue of values that reuses its memory.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) push(v T) { f.items = append(f.items, v) }

func (f *fifo[T]) pop() (v T, ok bool) {
	if f.head == len(f.items) {
		return v, false
	}
	var zero T
	v, f.items[f.head] = f.items[f.head], zero
	f.head++
	switch {
	case f.head == len(f.items):
		f.items, f.head = f.items[:0], 0
	case f.head > 1024 && f.head > len(f.items)/2:
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	return v, true
}
