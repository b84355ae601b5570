package actions

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
)

// examples are complete scenarios, at least two for each action, in a folder of its name.
//
//go:embed testdata/examples
var examples embed.FS

// Example is a scenario that shows an action.
type Example struct {
	Name string // of the file, without its folder
	Text string
}

// Examples returns the examples of an action, by name.
func Examples(kind string) ([]Example, error) {
	dir := path.Join("testdata/examples", kind)
	entries, err := fs.ReadDir(examples, dir)
	if err != nil {
		return nil, fmt.Errorf("examples of %s: %w", kind, err)
	}
	var list []Example
	for _, e := range entries {
		if path.Ext(e.Name()) != ".cue" {
			continue // what an example reads
		}
		text, err := fs.ReadFile(examples, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("examples of %s: %w", kind, err)
		}
		list = append(list, Example{Name: e.Name(), Text: string(text)})
	}
	return list, nil
}
