package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plscript/plscript/sandbox/internal/filelock"
)

// tempMark is in the name of every file that is still being written. Whoever holds the entry's lock may remove such files: their
// writer is gone.
const tempMark = ".tmp-"

// pinsDir is the folder beside the entries where the pins are written out.
const pinsDir = "pins"

// entry is the cache's folder for one key. A file in it counts only together with its stamp, which is written last.
type entry struct{ dir string }

// stamp records what a finished file looks like, so that one that was cut short later is noticed.
type stamp struct {
	Size int64 `json:"size"`
}

func (e entry) path(name string) string { return filepath.Join(e.dir, name) }

// has reports whether the file was finished and is still whole.
func (e entry) has(name string) bool {
	info, err := os.Stat(e.path(name))
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	content, err := os.ReadFile(e.path(name + ".stamp"))
	if err != nil {
		return false
	}
	var s stamp
	return json.Unmarshal(content, &s) == nil && s.Size == info.Size()
}

func (e entry) hasAll(names []string) bool {
	for _, name := range names {
		if !e.has(name) {
			return false
		}
	}
	return true
}

// install has make write the file under a temporary name and then moves it into place. Hold the entry's lock.
func (e entry) install(name string, make func(temp string) error) error {
	temp := e.path(name + tempMark + "new")
	defer os.RemoveAll(temp)
	if err := make(temp); err != nil {
		return err
	}
	info, err := os.Stat(temp)
	if err != nil {
		return fmt.Errorf("%s was not made: %w", name, err)
	}
	content, err := json.Marshal(stamp{Size: info.Size()})
	if err != nil {
		return fmt.Errorf("caching %s: %w", name, err)
	}
	// The old stamp goes first: if this is interrupted, a new file never stands beside an old stamp.
	if err := os.Remove(e.path(name + ".stamp")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("caching %s: %w", name, err)
	}
	if err := os.Rename(temp, e.path(name)); err != nil {
		return fmt.Errorf("caching %s: %w", name, err)
	}
	if err := replaceFile(e.path(name+".stamp"), content); err != nil {
		return fmt.Errorf("caching %s: %w", name, err)
	}
	return nil
}

// lock makes this process the only one to build into the entry, and clears what builders that were killed left half done.
func (e entry) lock(ctx context.Context, waiting func()) (*filelock.Lock, error) {
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	lock, err := filelock.Acquire(ctx, e.path("lock"), waiting)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	files, err := os.ReadDir(e.dir)
	if err != nil {
		lock.Release()
		return nil, fmt.Errorf("cache: %w", err)
	}
	for _, file := range files {
		if strings.Contains(file.Name(), tempMark) {
			os.RemoveAll(e.path(file.Name())) // at worst it stays until next time
		}
	}
	return lock, nil
}

// keepUnused is how long an entry is kept that nobody uses: each takes about 400 MB, and every new pin or Go version makes one.
const keepUnused = 30 * 24 * time.Hour

// touch records that the entry is used.
func (e entry) touch() {
	now := time.Now()
	os.Chtimes(e.dir, now, now) // failing, it is built again some day
}

// prune removes entries that were not used for long. One that fails to go is tried again by the next build.
func prune(cacheDir string) {
	entries, err := os.ReadDir(cacheDir)
	if err != nil {
		return
	}
	for _, candidate := range entries {
		info, err := candidate.Info()
		if err != nil || !info.IsDir() || candidate.Name() == pinsDir || time.Since(info.ModTime()) < keepUnused {
			continue
		}
		e := entry{dir: filepath.Join(cacheDir, candidate.Name())}
		lock, err := filelock.Try(e.path("lock"))
		if err != nil {
			continue // it is being built
		}
		os.RemoveAll(e.dir)
		lock.Release()
	}
}
