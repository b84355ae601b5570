package build

import (
	"sync"
	"time"
)

// Event is one line of progress. See sandbox.Event, which it becomes.
type Event struct {
	Stage   string
	Step    int
	Steps   int
	Detail  string
	Elapsed time.Duration
	Done    bool
}

// heartbeat is how often a step that takes long says so.
const heartbeat = 10 * time.Second

// stage is one step under way. Its detail may change while it runs.
type stage struct {
	report func(Event)
	began  time.Time
	stop   chan struct{}
	beat   sync.WaitGroup

	mu    sync.Mutex
	event Event
}

// begin reports a step's start and, until end is called, that it still runs.
func begin(report func(Event), name string, step, steps int) *stage {
	s := &stage{report: report, began: time.Now(), stop: make(chan struct{}), event: Event{Stage: name, Step: step, Steps: steps}}
	report(s.event)
	s.beat.Go(func() {
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.report(s.now())
			case <-s.stop:
				return
			}
		}
	})
	return s
}

func (s *stage) now() Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	event := s.event
	event.Elapsed = time.Since(s.began)
	return event
}

func (s *stage) detail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event.Detail = text
}

// end stops the reports, and adds a last one if the step succeeded.
func (s *stage) end(err error) {
	close(s.stop)
	s.beat.Wait()
	if err == nil {
		event := s.now()
		event.Done = true
		s.report(event)
	}
}
