package ir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Delay is a length of time that is the same each time, or spread around a median.
type Delay struct {
	P50 Duration // the median, or the delay itself
	P99 Duration // the 99th percentile; equal to P50 if the delay is always the same
}

// MarshalJSON writes d as it is typed.
func (d Delay) MarshalJSON() ([]byte, error) {
	if d.P50 == d.P99 {
		return json.Marshal(d.P50)
	}
	return json.Marshal(map[string]Duration{"p50": d.P50, "p99": d.P99})
}

// UnmarshalJSON reads "2s", or {"p50": "1s", "p99": "10s"}.
func (d *Delay) UnmarshalJSON(b []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		if err := d.P50.UnmarshalJSON(b); err != nil {
			return err
		}
		d.P99 = d.P50
		return nil
	}
	var spread struct{ P50, P99 Duration }
	if err := json.Unmarshal(b, &spread); err != nil {
		return fmt.Errorf("invalid delay: %w", err)
	}
	switch {
	case spread.P50 == 0 && spread.P99 > 0:
		return errors.New("invalid delay: a p50 of 0s leaves nothing to spread: want a median above zero")
	case spread.P99 < spread.P50:
		return fmt.Errorf("invalid delay: p99 (%v) is below p50 (%v)", spread.P99, spread.P50)
	}
	d.P50, d.P99 = spread.P50, spread.P99
	return nil
}
