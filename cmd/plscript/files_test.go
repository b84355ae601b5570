package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutputsStayInTheirFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := outputs{filepath.Join(dir, "run")}
	for _, name := range []string{"../x", "a/../../x", "/etc/x", "", "a\x00b"} {
		if _, err := out.Create(name, false); !errors.Is(err, errOutside) {
			t.Errorf("Create(%q): %v", name, err)
		}
	}
	w, err := out.Create("keys/a.pem", true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if info, err := os.Stat(filepath.Join(dir, "run", "keys", "a.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a private file: %v, %v", info.Mode(), err)
	}
	if _, err := out.Create("keys/a.pem", true); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mesh.yaml"), []byte("kind: List"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := &inputs{stdin: strings.NewReader("piped")}
	read := func(name string) string {
		r, err := in.Open(filepath.Join(dir, "scenario.cue"), name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := read("mesh.yaml"); got != "kind: List" {
		t.Errorf("a file beside the scenario: %q", got)
	}
	if first, second := read("-"), read("-"); first != "piped" || second != "piped" {
		t.Errorf("standard input: %q, then %q", first, second)
	}
}
