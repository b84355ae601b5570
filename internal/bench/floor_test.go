package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadersAreSentWhatTheSoakWas(t *testing.T) {
	t.Parallel()
	got, err := loadOf(131_700, 11.7e9, 5*time.Minute)
	if err != nil || !slices.Equal(got, []string{"-steady-rate", "439.0", "-steady-bytes", "88838"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := loadOf(1, 1, 0); err == nil {
		t.Error("a phase that took no time has a rate")
	}
	if _, err := loadOf(0, 0, time.Minute); err == nil {
		t.Error("nothing was received, and readers are measured on it")
	}
}

func TestReaderRows(t *testing.T) {
	t.Parallel()
	pool := map[string]float64{"cores": 0.0456, "responses/s": 440.02, "MB/s": 38.02}
	var both table
	if err := both.readers("ambient", figures{"Steady/pool": pool, "Steady/bare": {"cores": 0.0256}}); err != nil {
		t.Fatal(err)
	}
	const want = `| | ambient |
|---|---|
| the same bytes replayed: cores of the pool | 0.046 |
| the same bytes replayed: cores of a bare reader | 0.026 |
| the same bytes replayed: responses, MB a second | 440, 38.0 |
`
	if diff := cmp.Diff(want, both.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var alone table
	if err := alone.readers("ambient", figures{"Steady/pool": pool}); err != nil || len(alone.rows) != 2 {
		t.Errorf("without a bare reader: %q, %v", alone.rows, err)
	}
	if err := new(table).readers("ambient", figures{"Steady/bare": {"cores": 1}}); err == nil {
		t.Error("the pool was not measured, and nobody minds")
	}
	if err := new(table).readers("ambient", figures{"Steady/pool": pool, "Steady/bare": {}}); err == nil {
		t.Error("a bare reader without a figure, and nobody minds")
	}
}
