package xdspool

import "time"

// subscription is a client's side of one resource type. Its table outlives the stream, as a proxy's configuration does.
type subscription struct {
	table    *table
	onDemand bool // asked for by name, although the type can be had as a whole
	started  bool // subscribed to at some time in the client's life, hence again on every new stream

	// Of the current stream:
	active   bool   // subscribed to
	answered bool   // a response came
	complete bool   // it was settled and ACKed once
	gaveUp   bool   // the proxy goes on without what has not come
	nonce    string // of the last response
	acked    string // the last nonce that was ACKed
	version  string // SotW: of the last response that was ACKed
	since    time.Time
}

// byName reports whether t is asked for by name here.
func (s *subscription) byName(t typ) bool { return s.onDemand || !t.wildcard() }

// settled reports whether everything asked for has been answered; nothing to ask for counts as answered.
func (s *subscription) settled(t typ) bool {
	if s.gaveUp || !t.wildcard() && len(s.table.entries) == 0 {
		return true
	}
	return s.answered && s.table.outstanding == 0
}

// reset begins a new stream: what is held stays.
func (s *subscription) reset() {
	*s = subscription{table: s.table, onDemand: s.onDemand, started: s.started, version: s.version}
}
