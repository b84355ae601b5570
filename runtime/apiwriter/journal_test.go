package apiwriter

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

func TestJournalComesBeforeDone(t *testing.T) {
	var buf bytes.Buffer
	w := startWriter(t, &scriptedBackend{}, func(c *Config) { c.Journal, c.Scenario = &buf, "demo" })
	lines := make(chan int, 3)
	for _, verb := range []runtime.Verb{runtime.VerbCreate, runtime.VerbStatus, runtime.VerbDelete} {
		submit(t, w, runtime.Op{Verb: verb, Object: pod("p"), Done: func(runtime.Result) {
			lines <- bytes.Count(buf.Bytes(), []byte("\n"))
		}})
	}
	for i, want := range []int{2, 2, 3} {
		if got := <-lines; got != want {
			t.Errorf("write %d was told with %d lines in the journal, want %d", i, got, want)
		}
	}
	all := strings.Split(buf.String(), "\n")
	for i, want := range []string{
		`"verb":"run","run":"r1","scenario":"demo"}`,
		`"verb":"create","apiVersion":"v1","kind":"Pod","resource":"pods","namespace":"ns","name":"p","uid":"uid-p"}`,
		`"verb":"delete","apiVersion":"v1","kind":"Pod","resource":"pods","namespace":"ns","name":"p","uid":"uid-p"}`,
	} {
		if !strings.HasSuffix(all[i], want) {
			t.Errorf("line %d: %s\nwant the end %s", i, all[i], want)
		}
	}
}

// TestLinesAreJSON: what is written by hand is what encoding/json makes of the same entry.
func TestLinesAreJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 80_000, time.UTC)
	entries := []entry{
		{Time: at.Truncate(time.Second), Verb: "create", APIVersion: "networking.k8s.io/v1", Kind: "IPAddress", Resource: "ipaddresses", Name: "10.1.2.3", UID: "u"},
		{Time: at, Verb: "delete", APIVersion: "v1", Kind: "Pod", Resource: "pods", Namespace: "ns", Name: "p", UID: "u"},
	}
	for _, special := range []string{`"`, `\`, "<", ">", "&", "ü", "\u2028", "\n", "\x7f", "\xff", "~", " "} {
		entries = append(entries, entry{Time: at, Verb: "run", Run: "20260304-050607-k3x9", Scenario: "a" + special + "b"})
	}
	for _, e := range entries {
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(e.append(nil))); diff != "" {
			t.Errorf("(-encoding/json +own):\n%s", diff)
		}
	}
}

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room--; d.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestFullDiskStopsCreatesNotDeletes(t *testing.T) {
	b := &scriptedBackend{}
	w := startWriter(t, b, func(c *Config) { c.Journal, c.Concurrency = &fullDisk{room: 2}, 1 })
	f := newFates()
	for _, name := range []string{"kept", "unrecorded", "refused"} {
		submit(t, w, f.op(runtime.VerbCreate, runtime.PriorityBulk, pod(name)))
	}
	f.wg.Wait()
	if d := cmp.Diff([]string{"kept done", "unrecorded failed", "refused failed"}, f.all); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"create kept", "create unrecorded"}, b.log()); d != "" {
		t.Error(d)
	}
	submit(t, w, f.op(runtime.VerbDelete, runtime.PriorityBulk, pod("kept")))
	f.wg.Wait()
	if got := f.all[len(f.all)-1]; got != "kept done" {
		t.Errorf("a delete after that: %s", got)
	}
	if w.Err() == nil || w.Close() == nil {
		t.Error("the writer does not say that its journal failed")
	}
}

// slowDisk lets each write through when it is told to.
type slowDisk struct {
	writes chan string
	next   chan error
}

func (d *slowDisk) Write(p []byte) (int, error) {
	d.writes <- string(p)
	return len(p), <-d.next
}

// TestLinesGoOutTogether: those that come while others are being written, and nobody is told before.
func TestLinesGoOutTogether(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]error{"written": nil, "not written": errors.New("no space left on device")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &slowDisk{writes: make(chan string), next: make(chan error)}
				j := &journal{clock: runtimetest.Clock{}, page: &page{}, disk: make(chan struct{}, 1), out: disk}
				told := make(chan error, 10)
				write := func(name string) {
					go func() { told <- j.write(entry{Verb: "create", Name: name}) }()
					synctest.Wait()
				}
				write("first")
				if got := <-disk.writes; strings.Count(got, "\n") != 1 {
					t.Errorf("the first write is %q", got)
				}
				for _, name := range []string{"second", "third", "fourth"} {
					write(name)
				}
				if len(told) > 0 {
					t.Fatal("somebody was told of a line that is not written")
				}
				disk.next <- nil
				if err := <-told; err != nil {
					t.Fatal(err)
				}
				got := <-disk.writes
				if synctest.Wait(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "fourth") || len(told) > 0 {
					t.Errorf("then %q is written, and %d are told before it is", got, len(told))
				}
				write("fifth")
				disk.next <- fails
				for range 3 {
					if err := <-told; !errors.Is(err, fails) {
						t.Errorf("told of %v, want %v", err, fails)
					}
				}
				if fails != nil {
					if err := <-told; !errors.Is(err, fails) { // and nothing more was written
						t.Errorf("what came later was told of %v", err)
					}
					return
				}
				if got := <-disk.writes; strings.Count(got, "\n") != 1 || !strings.Contains(got, "fifth") {
					t.Errorf("at last %q is written", got)
				}
				disk.next <- nil
				<-told
			})
		})
	}
}
