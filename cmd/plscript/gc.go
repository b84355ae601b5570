package main

import "runtime/debug"

// planPercent is what a plan collects garbage by: what it holds at its end, a million pods say, is all of its memory.
const planPercent = 50

// What a run collects garbage by, unless GOGC or GOMEMLIMIT say otherwise: most of it is short-lived, and the processor
// time belongs to what is measured. Above the limit it collects as often as it has to.
const (
	gcPercent   = 400
	memoryLimit = 6 << 30
)

// tuneGC trades memory for processor time, for as long as the process lives.
func (s *system) tuneGC() {
	if s.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if s.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// boundHeap trades processor time for memory, for as long as the process lives.
func (s *system) boundHeap() {
	if s.getenv("GOGC") == "" {
		debug.SetGCPercent(planPercent)
	}
}
