package lang

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/lang/ir"
)

// FuzzLoad: whatever the file, no panic, and each diagnostic has a place in it.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.cue", "testdata/bad/*.cue"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
		}
	}
	cat := testCatalog()
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 4<<10 {
			t.Skip("long files only make it slow")
		}
		s, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: content}}, Path: "f.cue", Name: "dir/f.cue"}, cat)
		for _, d := range ds {
			if d.Code == ir.CodeInternal {
				t.Errorf("internal error: %v", d)
			}
			if d.Pos.File != "dir/f.cue" || !d.Pos.IsValid() || d.Message == "" {
				t.Errorf("incomplete diagnostic: %+v", d)
			}
		}
		if len(ds) == 0 {
			if err := complete(s); err != nil {
				t.Error(err)
			}
		}
	})
}
