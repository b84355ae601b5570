package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// inputs are the files that scenarios name, by paths relative to the scenario. It implements [runtime.Inputs].
type inputs struct {
	stdin io.Reader

	once sync.Once
	kept []byte // what standard input held: a plan and a run both read it
	err  error
}

// Open implements [runtime.Inputs].
func (in *inputs) Open(from, name string) (io.ReadCloser, error) {
	if name == "-" {
		in.once.Do(func() { in.kept, in.err = io.ReadAll(io.LimitReader(in.stdin, maxStdin+1)) })
		if in.err == nil && len(in.kept) > maxStdin {
			in.err = fmt.Errorf("standard input holds more than %d MB", maxStdin>>20)
		}
		return io.NopCloser(bytes.NewReader(in.kept)), in.err
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(from), name)
	}
	return os.Open(name)
}

// maxStdin bounds what is kept of standard input.
const maxStdin = 256 << 20

// outputs is the folder that a run's files go to. It implements [runtime.Files].
type outputs struct{ dir string }

var errOutside = errors.New("leads out of the run's folder")

// Create implements [runtime.Files].
func (o outputs) Create(name string, private bool) (io.WriteCloser, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("%q: %w", name, errOutside)
	}
	path := filepath.Join(o.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	mode := os.FileMode(0o644)
	if private {
		mode = 0o600
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
}
