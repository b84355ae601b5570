package runtime

import "sync"

// Signal wakes whoever waits for something to change. It implements [Notifier]; the zero value is ready.
type Signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// Notify wakes everyone who waits.
func (s *Signal) Notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// Wait returns a channel that is closed at the next Notify.
func (s *Signal) Wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}
