package xdspool

// subscription is a client's side of one resource type. Its table outlives the stream, as a proxy's configuration does.
type subscription struct {
	table   table
	started bool // subscribed to at some time in the client's life, hence again on every new stream

	// Of the current stream:
	active      bool   // subscribed to
	answered    bool   // a response came
	outstanding int    // names asked for and neither sent nor removed since
	nonce       string // of the last response
	acked       string // the last nonce that was ACKed
}

// settled reports whether everything asked for has been answered; nothing to ask for counts as answered.
func (s *subscription) settled(t typ) bool {
	if !t.wildcard() && len(s.table) == 0 {
		return true
	}
	return s.answered && s.outstanding == 0
}

// restart begins a new stream: what is held stays, and all of it will be asked for again.
func (s *subscription) restart(t typ) {
	s.active, s.answered, s.outstanding, s.nonce, s.acked = false, false, 0, "", ""
	if t.wildcard() {
		return
	}
	for i := range s.table {
		s.table[i].refs |= awaiting
	}
	s.outstanding = len(s.table)
}

// await notes that e is asked for.
func (s *subscription) await(e *entry) {
	if e.refs&awaiting == 0 {
		e.refs |= awaiting
		s.outstanding++
	}
}

// settle notes that e was answered, or is not asked for any more.
func (s *subscription) settle(e *entry) {
	if e.refs&awaiting != 0 {
		e.refs &^= awaiting
		s.outstanding--
	}
}
