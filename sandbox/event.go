package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// Event tells that a stage of making a sandbox began, goes on, or is done.
type Event struct {
	Stage   string        // "building istiod", "starting kube-apiserver"
	Step    int           // which of Steps this is, from 1; 0 when the stage stands alone
	Steps   int           //
	Detail  string        // "312 packages compiled"; may be empty
	Elapsed time.Duration // since the stage began; 0 in its first event
	Done    bool          // the stage has succeeded; a stage that fails has no such event
}

// String is the event as one line: "building kube-apiserver (2 of 4): 312 packages compiled, 40s".
func (e Event) String() string {
	var text strings.Builder
	text.WriteString(e.Stage)
	if e.Steps > 0 {
		fmt.Fprintf(&text, " (%d of %d)", e.Step, e.Steps)
	}
	var notes []string
	if e.Detail != "" {
		notes = append(notes, e.Detail)
	}
	if e.Elapsed > 0 {
		notes = append(notes, e.Elapsed.Round(precision(e.Elapsed)).String())
	}
	if e.Done {
		notes = append(notes, "done")
	}
	if len(notes) > 0 {
		text.WriteString(": " + strings.Join(notes, ", "))
	}
	return text.String()
}

func precision(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return 10 * time.Millisecond
	}
	return time.Second
}

// stage runs do as a stage that is reported.
func (c Config) stage(name string, do func() error) error {
	began := time.Now()
	c.Progress(Event{Stage: name})
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.Progress(Event{Stage: name, Elapsed: time.Since(began), Done: true})
	return nil
}
