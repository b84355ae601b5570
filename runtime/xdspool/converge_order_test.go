package xdspool

import (
	"testing"
	"time"

	"github.com/plscript/plscript/runtime"
)

// TestHeldBeforeTheAnswer: istiod may tell a proxy of a write before the api-server has answered it, and the pair counts with
// the time that it took.
func TestHeldBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1)
	ch := f.Track(f.endpoint(false))
	f.clock.Advance(40 * time.Millisecond)
	s[0].give(t, podIP)
	f.taken(t, runtime.Readings{"pushes.responses": int64(4), "changes.count": int64(0)})
	f.clock.Advance(60 * time.Millisecond)
	ch.Written()
	f.until(t, counts(1, 0, 0))
	near(t, f.readings(), "max", 40*time.Millisecond)
	f.until(t, runtime.Readings{"changes.endpoint.pairs": int64(1)})
}

// TestAnswersOutOfOrder: the answer to an earlier write that comes after that to a later one undoes nothing.
func TestAnswersOutOfOrder(t *testing.T) {
	t.Parallel()
	f, s := audience(t, 1, podIP)
	add := f.Track(f.endpoint(false))
	del := f.Track(f.endpoint(true))
	del.Written()
	add.Written()
	f.until(t, counts(2, 1, 0)) // the proxy still lists the address
	s[0].give(t)
	f.until(t, counts(2, 0, 0))
}

// TestNumbersAfterNumbers: while an update is on its way that could not be told from another, no other print of the object
// says of which it is.
func TestNumbersAfterNumbers(t *testing.T) {
	t.Parallel()
	f, s := routed(t, 1)
	weigh := func(weight uint32) {
		t.Helper()
		s[0].push(t, rds, resources{routeConfig("80", rendered("v", "one", weight))})
	}
	f.write(f.virtualService("v", "one", 100))
	weigh(100)
	f.until(t, routeCounts(1, 0, 0))
	f.write(f.virtualService("v", "one", 50))
	f.write(f.virtualService("v", "one", 20))
	weigh(50)
	f.until(t, routeCounts(3, 0, 1))
	f.write(f.virtualService("v", "one", 30)) // what comes next may be 20
	f.until(t, routeCounts(4, 0, 2))
	f.clock.Advance(shortest + time.Millisecond)
	f.write(f.virtualService("v", "one", 40))
	f.until(t, routeCounts(5, 1, 2))
	weigh(40)
	f.until(t, routeCounts(5, 0, 2))
}

// TestWhoCeasesToHoldAnObject is waited for no more, whether words or a print would have told its update.
func TestWhoCeasesToHoldAnObject(t *testing.T) {
	t.Parallel()
	for name, update := range map[string]struct {
		header string
		weight int64
	}{"words": {"two", 100}, "print": {"one", 50}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := routed(t, 2)
			f.write(f.virtualService("v", "one", 100))
			for i := range s {
				s[i].push(t, rds, resources{routeConfig("80", rendered("v", "one", 100))})
			}
			f.taken(t, routeCounts(1, 0, 0))
			f.write(f.virtualService("v", update.header, update.weight))
			s[0].push(t, rds, resources{routeConfig("80", rendered("v", update.header, uint32(update.weight)))})
			f.taken(t, routeCounts(2, 1, 0))
			s[1].push(t, rds, resources{routeConfig("80")})
			f.until(t, routeCounts(2, 0, 0))
		})
	}
}
