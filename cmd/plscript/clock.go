package main

import (
	"context"
	"time"
)

// wallClock is the machine's time.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (c wallClock) Sleep(ctx context.Context, d time.Duration) error {
	ch, stop := c.After(d)
	defer stop()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (wallClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
