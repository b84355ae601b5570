package ir

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Delay{
		`"2s"`:                        {Duration(2 * time.Second), Duration(2 * time.Second)},
		` {"p50": "1s", "p99": "9s"}`: {Duration(time.Second), Duration(9 * time.Second)},
		`{"p50": "1s", "p99": "1s"}`:  {Duration(time.Second), Duration(time.Second)},
		`{"p50": "0s", "p99": "0s"}`:  {},
	} {
		var got Delay
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s = %+v, %v, want %+v", text, got, err, want)
		}
		again, err := json.Marshal(got)
		var back Delay
		if err != nil || json.Unmarshal(again, &back) != nil || back != got {
			t.Errorf("%s is written as %s, %v", text, again, err)
		}
	}
	for text, want := range map[string]string{
		`{"p50": "2s", "p99": "1s"}`: "below",
		`{"p50": "0s", "p99": "1s"}`: "above zero",
		`{"p50": "x", "p99": "1s"}`:  "invalid duration",
		`"soon"`:                     "invalid duration",
		`3`:                          "invalid duration",
	} {
		var got Delay
		if err := json.Unmarshal([]byte(text), &got); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
}
