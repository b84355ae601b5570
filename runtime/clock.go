package runtime

import (
	"context"
	"time"
)

// Clock is where time comes from. Below cmd nothing else tells the time, so that a test can.
type Clock interface {
	Now() time.Time
	// Sleep waits until d has passed or ctx is done, and then returns ctx's error.
	Sleep(ctx context.Context, d time.Duration) error
	// After returns a channel that receives once d has passed, and a func that gives up waiting.
	After(d time.Duration) (<-chan time.Time, func())
}
