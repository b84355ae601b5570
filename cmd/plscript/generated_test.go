package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
)

// TestGenerated fails when a generated file is not what the schema, the actions and the measures say now. UPDATE=1, or
// go generate, writes them.
func TestGenerated(t *testing.T) {
	t.Parallel()
	for file, generate := range map[string]func() ([]byte, error){
		"../../schema/actions_gen.cue": func() ([]byte, error) { return lang.Assemble(actions.All()) },
		"../../docs/reference.md":      wholeReference,
	} {
		want, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date; run go generate ./cmd/plscript:\n%s", file, diff)
		}
	}
}

func wholeReference() ([]byte, error) {
	r, err := newReference()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = r.all(&b)
	return b.Bytes(), err
}

// TestDeclaredOnce: the fragments of the actions and the structs that they decode into have the same fields.
func TestDeclaredOnce(t *testing.T) {
	t.Parallel()
	for _, err := range lang.CheckCatalog(actions.All()) {
		t.Error(err)
	}
}
