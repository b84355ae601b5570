package lang

import (
	"cmp"
	"fmt"
	"runtime/metrics"
	"time"

	"github.com/plscript/plscript/lang/ir"
)

// The limits of a load unless others are set. A scenario of a hundred lines takes 20 ms and a few MB.
const (
	MaxLoadTime   = 5 * time.Second
	MaxLoadMemory = 512 << 20 // bytes of heap beyond what was there before
)

// Watch bounds the time and memory of a load. Short files can ask CUE for work without end, such as
// list.Range(0, 1e9, 1), and CUE offers no way to stop it: past a limit Load returns a diagnostic with
// [ir.CodeTooExpensive] and abandons the evaluation, which goes on in its goroutine. The caller must then end the
// process soon.
type Watch struct {
	// Ticks is when to look, at most 100 ms apart: a time.Ticker's channel. Nil switches the watch off.
	Ticks <-chan time.Time
	// Time and Memory (in bytes) are MaxLoadTime and MaxLoadMemory if zero.
	Time   time.Duration
	Memory uint64
}

// guard runs load under the limits, and turns a panic in CUE into a diagnostic.
func (w Watch) guard(name string, load func() ir.Diagnostics) ir.Diagnostics {
	run := func() (ds ir.Diagnostics) {
		defer func() {
			if r := recover(); r != nil {
				ds = ir.Diagnostics{{Pos: start(name), Code: ir.CodeInternal,
					Message: fmt.Sprintf("evaluating the file failed in a way that is not your mistake: %v", r)}}
			}
		}()
		return load()
	}
	if w.Ticks == nil {
		return run()
	}
	before := heapBytes()
	done := make(chan ir.Diagnostics, 1)
	go func() { done <- run() }()
	var began time.Time
	for {
		select {
		case ds := <-done:
			return ds
		case now := <-w.Ticks:
			if began.IsZero() {
				began = now
			}
			if why := w.past(now.Sub(began), heapBytes(), before); why != "" {
				return ir.Diagnostics{{Pos: start(name), Code: ir.CodeTooExpensive,
					Message: "evaluating the file takes too much " + why + "; look for a very long list.Range, strings.Repeat, a nested comprehension, or values that each use another one twice"}}
			}
		}
	}
}

// past says which limit is passed, "" if none.
func (w Watch) past(took time.Duration, heap, before uint64) string {
	most, memory := cmp.Or(w.Time, MaxLoadTime), cmp.Or(w.Memory, MaxLoadMemory)
	switch {
	case took > most:
		return fmt.Sprintf("time (more than %v)", most)
	case heap > before+memory:
		return fmt.Sprintf("memory (more than %d MiB)", memory>>20)
	}
	return ""
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

func tooExpensive(ds ir.Diagnostics) bool {
	for _, d := range ds {
		if d.Code == ir.CodeTooExpensive {
			return true
		}
	}
	return false
}
