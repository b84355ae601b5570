package build

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plscript/plscript/sandbox/internal/filelock"
)

func write(content string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(content), 0o700) }
}

func TestOnlyWholeFilesCount(t *testing.T) {
	t.Parallel()
	e := entry{dir: t.TempDir()}
	if e.has("etcd") {
		t.Error("an empty entry has a file")
	}
	if err := e.install("etcd", write("binary")); err != nil {
		t.Fatal(err)
	}
	if !e.has("etcd") {
		t.Error("an installed file is not there")
	}
	for name, spoil := range map[string]func() error{
		"cut short":     func() error { return os.Truncate(e.path("etcd"), 3) },
		"removed":       func() error { return os.Remove(e.path("etcd")) },
		"without stamp": func() error { return os.Remove(e.path("etcd.stamp")) },
		"broken stamp":  func() error { return os.WriteFile(e.path("etcd.stamp"), []byte(`{"si`), 0o600) },
	} {
		if err := e.install("etcd", write("binary")); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if e.has("etcd") {
			t.Errorf("a file that is %s counts", name)
		}
	}
}

func TestFailedInstallLeavesNothingAndKeepsTheOldFile(t *testing.T) {
	t.Parallel()
	e := entry{dir: t.TempDir()}
	if err := e.install("etcd", write("old")); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("compiler said no")
	err := e.install("etcd", func(path string) error { return errors.Join(write("half")(path), failure) })
	if !errors.Is(err, failure) {
		t.Errorf("install = %v", err)
	}
	content, err := os.ReadFile(e.path("etcd"))
	if err != nil || string(content) != "old" || !e.has("etcd") {
		t.Errorf("the old file is gone: %q, %v", content, err)
	}
	if left, _ := filepath.Glob(e.path("*" + tempMark + "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLockClearsWhatKilledBuildersLeft(t *testing.T) {
	t.Parallel()
	e := entry{dir: t.TempDir()}
	half := e.path("istiod" + tempMark + "new")
	if err := write("half")(half); err != nil {
		t.Fatal(err)
	}
	lock, err := e.lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a half-written file is still there: %v", err)
	}
}

func TestPruneRemovesOnlyWhatNobodyUses(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	long := time.Now().Add(-2 * keepUnused)
	for _, name := range []string{"old", "used", "building", pinsDir} {
		e := entry{dir: filepath.Join(cache, name)}
		lock, err := e.lock(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if name != "building" {
			lock.Release()
		} else {
			defer lock.Release()
		}
		if err := os.Chtimes(e.dir, long, long); err != nil {
			t.Fatal(err)
		}
	}
	entry{dir: filepath.Join(cache, "used")}.touch()
	prune(cache)
	left, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	if len(names) != 3 || names[0] != "building" || names[1] != pinsDir || names[2] != "used" {
		t.Errorf("left: %v, want building, pins, used", names)
	}
	if _, err := filelock.Try(filepath.Join(cache, "building", "lock")); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("the lock of an entry under way: %v", err)
	}
}
