package apiwriter

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// entry is one line of the journal. The first line of a journal has the verb "run".
type entry struct {
	Time       time.Time `json:"time"`
	Verb       string    `json:"verb"`
	Run        string    `json:"run,omitempty"`
	Scenario   string    `json:"scenario,omitempty"`
	APIVersion string    `json:"apiVersion,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Resource   string    `json:"resource,omitempty"`
	Namespace  string    `json:"namespace,omitempty"`
	Name       string    `json:"name,omitempty"`
	UID        string    `json:"uid,omitempty"`
}

// journal writes down what the run creates and deletes, one write call a line and before anybody is told: a killed
// process loses nothing that it acknowledged. After a failed write it refuses everything, so that a full disk ends the
// run instead of leaving a hole.
type journal struct {
	clock runtime.Clock
	mu    sync.Mutex
	out   io.Writer // nil means no journal
	err   error
}

func newJournal(cfg Config) *journal {
	j := &journal{clock: cfg.Clock, out: cfg.Journal}
	// A failure is kept, and met by the first write.
	_ = j.write(entry{Verb: "run", Run: cfg.RunID, Scenario: cfg.Scenario})
	return j
}

// record takes down a write that the api-server has accepted, if it created or deleted an object.
func (j *journal) record(verb runtime.Verb, t target, a answer) error {
	if verb != runtime.VerbCreate && verb != runtime.VerbDelete {
		return nil
	}
	return j.write(entry{
		Verb:       string(verb),
		APIVersion: t.gvk().GroupVersion().String(),
		Kind:       t.id.kind,
		Resource:   a.resource,
		Namespace:  t.id.namespace,
		Name:       t.id.name,
		UID:        string(a.uid),
	})
}

func (j *journal) write(e entry) error {
	if j.out == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	e.Time = j.clock.Now().UTC()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.out.Write(append(line, '\n'))
	}
	if err != nil {
		j.err = fmt.Errorf("write the journal: %w", err)
	}
	return j.err
}

func (j *journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
