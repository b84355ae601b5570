package lang

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/plscript/plscript/lang/ir"
)

// A folder may hold anything beside the scenario: no file in it may hang or break the load.
func TestHostileFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	good := "package x\nname: \"x\"\nphases: [{name: \"a\", steps: [{action: \"sleep\", for: \"1s\"}]}]\n"
	write("good.cue", good)
	write("binary.cue", "\x7fELF\x00\x01")
	for _, err := range []error{
		os.Symlink("loop.cue", filepath.Join(dir, "loop.cue")),
		os.Symlink("..", filepath.Join(dir, "up")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling.cue")),
		syscall.Mkfifo(filepath.Join(dir, "pipe.cue"), 0o644),
		os.Mkdir(filepath.Join(dir, "folder.cue"), 0o755),
		os.WriteFile(filepath.Join(dir, "huge.cue"), bytes.Repeat([]byte("// x\n"), 10<<20), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fsys := os.DirFS(dir)
	found, err := Scenarios(fsys, ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 6 {
		t.Errorf("found %q", found)
	}
	for _, file := range found {
		_, ds := Load(Input{FS: fsys, Path: file}, testCatalog())
		switch {
		case file == "good.cue" && len(ds) > 0:
			t.Error(ds)
		case file != "good.cue" && (len(ds) != 1 || ds[0].Code != ir.CodeUnreadable || ds[0].Pos != start(file)):
			t.Errorf("%s: %v", file, ds)
		}
	}
}

// A module file that is no CUE is none.
func TestHostileModuleFile(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "module: 3", "module: {", "\x00", strings.Repeat("[", 1<<20)} {
		fsys := fstest.MapFS{"cue.mod/module.cue": {Data: []byte(content)}, "f.cue": {Data: []byte("name: \"x\"\nphases: []")}}
		if _, ds := Load(Input{FS: fsys, Path: "f.cue"}, testCatalog()); len(ds) != 1 || ds[0].Code != ir.CodeEmpty {
			t.Errorf("%.10q: %v", content, ds)
		}
	}
}
