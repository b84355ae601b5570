package lang

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
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
			return // long files only make it slow
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

// FuzzValidate goes on from there to the expressions, with the actions that there really are: each diagnostic has a
// place, a code and words.
func FuzzValidate(f *testing.F) {
	for _, kind := range actions.All().Kinds() {
		examples, err := actions.Examples(kind)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range examples {
			f.Add([]byte(e.Text))
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 4<<10 {
			return // long files only make it slow
		}
		s, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: content}}, Path: "f.cue"}, actions.All())
		if s != nil {
			_, more := runtime.Compile(t.Context(), s, nil)
			ds = ds.Merge(more)
		}
		for _, d := range ds {
			if d.Code == "" || d.Code == ir.CodeInternal || d.Pos.File != "f.cue" || !d.Pos.IsValid() || d.Message == "" {
				t.Errorf("incomplete diagnostic: %+v", d)
			}
		}
	})
}

// FuzzParams: whatever is given with -t, it is taken or refused at a place in the file.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{"3", "-1", "1e400", "0x10", "\"", "\\(x)", "true", "null", "_", "1K", "5/s", "{a: 1}", "\x00"} {
		f.Add(seed)
	}
	src := `name: "x"
params: {
	i: *1 | int                @tag(i, type=int)
	n: *1.5 | number & <100    @tag(n, type=number)
	s: *"a" | =~"^[a-z]+$"     @tag(s)
	b: *true | bool            @tag(b, type=bool)
}
phases: [{name: "a", steps: [{action: "sleep", for: "1s"}]}]`
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"i", "n", "s", "b"} {
			_, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: []byte(src)}}, Path: "f.cue", Params: map[string]string{name: value}}, testCatalog())
			for _, d := range ds {
				if d.Code != ir.CodeParam || d.Pos.File != "f.cue" || !d.Pos.IsValid() {
					t.Errorf("-t %s=%q: %+v", name, value, d)
				}
			}
		}
	})
}
