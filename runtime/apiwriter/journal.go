package apiwriter

import (
	"encoding/json"
	"fmt"
	"io"
	goruntime "runtime"
	"strings"
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

// journal writes down what the run creates and deletes, before anybody is told: a killed process loses nothing that it
// acknowledged. Lines that come while others are being written go out together, in one write call. After a failed one it
// refuses everything, so that a full disk ends the run instead of leaving a hole.
type journal struct {
	clock runtime.Clock
	out   io.Writer     // nil means no journal
	disk  chan struct{} // full while somebody writes

	mu    sync.Mutex
	page  *page  // for the next lines
	spare []byte // of a page that is written, for its memory
	err   error
}

// page is lines that are written together. Whoever adds the first of them writes it.
type page struct {
	lines   []byte
	written chan struct{} // closed when it is; nil while nobody waits for it
	err     error
}

func newJournal(cfg Config) *journal {
	j := &journal{clock: cfg.Clock, out: cfg.Journal, disk: make(chan struct{}, 1), page: &page{}}
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

// write returns when e is written.
func (j *journal) write(e entry) error {
	if j.out == nil {
		return nil
	}
	j.mu.Lock()
	if j.err != nil {
		j.mu.Unlock()
		return j.err
	}
	p, first := j.page, len(j.page.lines) == 0
	e.Time = j.clock.Now().UTC()
	p.lines = append(e.append(p.lines), '\n')
	if !first && p.written == nil {
		p.written = make(chan struct{})
	}
	j.mu.Unlock()
	if first {
		return j.turn(p)
	}
	<-p.written
	return p.err
}

// turn writes the page p, and begins another. The answers to a load come several at a time: whoever is about to add a line,
// too, goes first.
func (j *journal) turn(p *page) error {
	goruntime.Gosched()
	j.disk <- struct{}{}
	defer func() { <-j.disk }()
	j.mu.Lock()
	err := j.err // since p was begun
	j.page, j.spare = &page{lines: j.spare}, nil
	j.mu.Unlock()
	if err == nil {
		if _, err = j.out.Write(p.lines); err != nil {
			err = fmt.Errorf("write the journal: %w", err)
		}
	}
	j.mu.Lock()
	j.err, j.spare = err, p.lines[:0]
	j.mu.Unlock()
	p.err = err
	if p.written != nil {
		close(p.written)
	}
	return err
}

// append writes e as encoding/json would, without its reflection: a load has a line for each pod.
func (e *entry) append(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = append(e.Time.AppendFormat(b, time.RFC3339Nano), '"')
	for _, f := range [...]struct{ key, value string }{
		{`,"verb":`, e.Verb}, {`,"run":`, e.Run}, {`,"scenario":`, e.Scenario}, {`,"apiVersion":`, e.APIVersion}, {`,"kind":`, e.Kind},
		{`,"resource":`, e.Resource}, {`,"namespace":`, e.Namespace}, {`,"name":`, e.Name}, {`,"uid":`, e.UID},
	} {
		if f.value != "" {
			b = appendText(append(b, f.key...), f.value)
		}
	}
	return append(b, '}')
}

// appendText writes s as a string of JSON. Names of objects need no escapes; that of a scenario may.
func appendText(b []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || strings.IndexByte(`"\\<>&`, c) >= 0 {
			escaped, _ := json.Marshal(s) // which takes every string
			return append(b, escaped...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func (j *journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
