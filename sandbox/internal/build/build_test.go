package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// script makes an executable shell script.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func quiet(Event) {}

func TestWithoutGoItSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Ensure(t.Context(), Options{CacheDir: t.TempDir(), Report: quiet})
	if !errors.Is(err, ErrNoGo) || !strings.Contains(err.Error(), "go.dev/dl") {
		t.Errorf("Ensure = %v, want ErrNoGo and where to get it", err)
	}
}

func TestWithoutGoAFinishedEntryServes(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	cache := t.TempDir()
	e := entry{dir: filepath.Join(cache, fmt.Sprintf("%s-go1.26.0-%s-%s", pinsHash(), runtime.GOOS, runtime.GOARCH))}
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(renderedFiles(), fileEtcd, fileAPIServer, fileIstiod, fileGatewayCRDs) {
		if err := e.install(name, write("content of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	for profile, of := range map[Profile]Profile{"": Ambient, Ambient: Ambient, Default: Default} {
		got, err := Ensure(t.Context(), Options{CacheDir: cache, Profile: profile, Report: quiet})
		if err != nil {
			t.Fatal(err)
		}
		if got.Istiod != e.path(fileIstiod) || string(got.GatewayCRDs) != "content of "+fileGatewayCRDs || string(got.IstioObjects) != "content of "+of.file() {
			t.Errorf("with profile %q: Ensure = %+v", profile, got)
		}
	}
	if _, err := Ensure(t.Context(), Options{CacheDir: cache, Profile: "demo", Report: quiet}); err == nil || !strings.Contains(err.Error(), `no profile "demo"`) {
		t.Errorf("a profile that is not rendered: %v", err)
	}

	own := script(t, "my-istiod", "")
	got, err := Ensure(t.Context(), Options{CacheDir: cache, Istiod: own, Report: quiet})
	if err != nil || got.Istiod != own || got.Etcd != e.path(fileEtcd) {
		t.Errorf("with an istiod of the user's: %+v, %v", got, err)
	}
}

func TestUsersBinariesAreCheckedBeforeAnythingIsBuilt(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	report := func(e Event) { t.Errorf("%+v", e) }
	if _, err := Ensure(t.Context(), Options{CacheDir: cache, Istiod: filepath.Join(cache, "none"), Report: report}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with an istiod that is not there: %v", err)
	}
	if _, err := Ensure(t.Context(), Options{CacheDir: cache, Istioctl: cache, Report: report}); err == nil {
		t.Error("no error for an istioctl that is a folder")
	}
}

func newTestRunner(t *testing.T) runner {
	t.Helper()
	thread := process.NewThread()
	t.Cleanup(thread.Close)
	return runner{dir: t.TempDir(), thread: thread}
}

func TestUsersIstioctlRendersTheObjects(t *testing.T) {
	t.Parallel()
	istioctl := script(t, "istioctl", `echo "kind: A"; echo "args: '$*'"; echo "---"; echo "---"; echo "kind: B"`)
	b := &builder{Options: Options{Istioctl: istioctl, Profile: Default}, runner: newTestRunner(t)}
	content, err := b.istioObjects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var objects []map[string]string
	if err := json.Unmarshal(content, &objects); err != nil {
		t.Fatal(err)
	}
	if len(objects) != 2 || objects[0]["kind"] != "A" || objects[1]["kind"] != "B" {
		t.Fatalf("objects = %v", objects)
	}
	if args := objects[0]["args"]; !strings.Contains(args, WebhookHost+"/inject") || !strings.Contains(args, WebhookHost+"/validate") || !strings.Contains(args, "profile=default ") {
		t.Errorf("istioctl was called with %q", args)
	}
}

func TestFailedCommandShowsWhatItSaid(t *testing.T) {
	t.Parallel()
	_, err := newTestRunner(t).run(t.Context(), nil, script(t, "broken", "echo it is broken >&2; exit 4"))
	if err == nil || !strings.Contains(err.Error(), "it is broken") || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("run = %v", err)
	}
}

func TestEndOfContextEndsACommandAndItsChildren(t *testing.T) {
	t.Parallel()
	r := newTestRunner(t)
	// Both note their process id in the working folder; the second one then says so on stderr, and waits.
	command := script(t, "parent", `echo $$ > parent; sh -c 'echo $$ > child; echo started >&2; exec sleep 60' | cat`)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := r.run(ctx, func(int) { cancel() }, command)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("run = %v, want context.Canceled", err)
	}
	for _, name := range []string{"parent", "child"} {
		content, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // it may be about to go
			if _, err := process.Identify(pid); err != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the %s still runs", name)
			}
		}
	}
}

func TestStageReports(t *testing.T) {
	t.Parallel()
	var events []Event
	s := begin(func(e Event) { events = append(events, e) }, "building etcd", 1, 4)
	s.detail("3 packages compiled")
	s.end(nil)
	if len(events) != 2 || events[0].Done || !events[1].Done || events[1].Detail != "3 packages compiled" || events[1].Step != 1 {
		t.Errorf("events = %+v", events)
	}
	events = nil
	begin(func(e Event) { events = append(events, e) }, "building etcd", 1, 4).end(errors.New("no"))
	if len(events) != 1 {
		t.Errorf("a failed stage reported %+v, want only its start", events)
	}
}
