package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/plscript/plscript/runtime/report"
)

// floor adds what it takes to read as much as the proxies of a soak were sent, at the rate of its last phase: for the pool
// alone, and for the least that reads and acknowledges. What a run receives in its other phases is little beside that.
func (t *table) floor(column string, rep *report.Report) error {
	v := reader(rep)
	load, err := loadOf(v("pushes.responses"), v("pushes.bytes"), time.Duration(rep.Phases[len(rep.Phases)-1].Duration))
	if err != nil {
		return err
	}
	f, err := goBench(replayPackage, "BenchmarkSteady", "1x", append(load, "-steady-streams", fmt.Sprint(soakPods))...)
	if err != nil {
		return err
	}
	return t.readers(column, f)
}

// loadOf tells BenchmarkSteady what to send.
func loadOf(responses, bytes float64, took time.Duration) ([]string, error) {
	if responses == 0 || took <= 0 {
		return nil, errors.New("nothing was received")
	}
	return []string{"-steady-rate", fmt.Sprintf("%.1f", responses/took.Seconds()), "-steady-bytes", fmt.Sprintf("%.0f", bytes/responses)}, nil
}

// readers adds what BenchmarkSteady has measured. There is a bare reader on Linux only.
func (t *table) readers(column string, f figures) error {
	q := quoter{figures: f}
	t.set("the same bytes replayed: cores of the pool", column, q.say("%.3f", "Steady/pool", "cores"))
	if _, ok := f["Steady/bare"]; ok {
		t.set("the same bytes replayed: cores of a bare reader", column, q.say("%.3f", "Steady/bare", "cores"))
	}
	t.set("the same bytes replayed: responses, MB a second", column, q.say("%.0f, %.1f", "Steady/pool", "responses/s", "MB/s"))
	return q.err
}
