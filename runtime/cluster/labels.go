package cluster

import (
	"hash/maphash"
	"maps"
	"sync"
)

// maxLabelSets is how many sets are remembered for the pods of a cluster, which share a few for each app.
const maxLabelSets = 1 << 16

// labelSets finds one map for all pods with the same labels. Each decoded pod brings its own, which is a quarter of what is
// kept of it and half of what the garbage collector has to look at. It is safe for concurrent use.
type labelSets struct {
	seed maphash.Seed
	most int // sets that are remembered

	mu   sync.Mutex
	sets map[uint64]map[string]string
}

func newLabelSets(most int) *labelSets {
	return &labelSets{seed: maphash.MakeSeed(), most: most, sets: map[uint64]map[string]string{}}
}

// shared returns a map like labels, which nobody may change from then on.
func (s *labelSets) shared(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	var sum uint64 // over the pairs in any order
	for k, v := range labels {
		sum += maphash.Comparable(s.seed, labelPair{k, v})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.sets[sum]; maps.Equal(known, labels) {
		return known
	}
	if len(s.sets) >= s.most {
		clear(s.sets)
	}
	s.sets[sum] = labels
	return labels
}
