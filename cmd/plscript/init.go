package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/schema"
)

//go:embed starter.cue
var starter []byte

// starterModule is a name that no registry has.
const starterModule = "module: \"scenarios.example\"\nlanguage: version: \"v0.17.0\"\n"

func (s *system) initCommand() *cli.Command {
	return &cli.Command{
		Name:         "init",
		Usage:        "make a folder with a first scenario, and the schema for `cue vet` and editors",
		ArgsUsage:    "DIR",
		Action:       s.init,
		OnUsageError: usageError,
	}
}

func (s *system) init(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("init takes one folder")
	}
	dir := c.Args().First()
	files, err := lang.EditorSchema(actions.All())
	if err != nil {
		return err
	}
	vendored := filepath.Join("cue.mod", "pkg", filepath.FromSlash(schema.ImportPath))
	all := map[string][]byte{"first.cue": starter, filepath.Join("cue.mod", "module.cue"): []byte(starterModule)}
	for name, content := range files {
		all[filepath.Join(vendored, filepath.FromSlash(name))] = content
	}
	// Nothing is written unless all can be.
	for _, name := range slices.Sorted(maps.Keys(all)) {
		file := filepath.Join(dir, name)
		if _, err := os.Lstat(file); err == nil {
			return usage("%s exists already; init overwrites nothing", file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return usage("%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := create(filepath.Join(dir, name), all[name]); err != nil {
			return err
		}
	}
	first := filepath.Join(dir, "first.cue")
	fmt.Fprintf(s.stdout, "wrote %s and the schema beside it\n  check it:  plscript validate %s\n  see what it would do:  plscript plan %s\n  run it:  plscript run %s\n", first, first, first, first)
	return nil
}

// create writes a file that does not exist yet.
func create(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	return nil
}
