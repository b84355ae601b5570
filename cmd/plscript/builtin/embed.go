// Package builtin holds the scenarios that plscript brings along. `plscript show NAME` prints one and `plscript run
// builtin:NAME` runs it; the short commands (adsc, prober and others) set its parameters and do the same.
package builtin

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

// FS holds the scenarios, each as NAME.cue.
//
//go:embed *.cue
var FS embed.FS

// Names lists the scenarios, sorted.
func Names() []string {
	files, err := fs.Glob(FS, "*.cue")
	if err != nil {
		return nil // the pattern is a constant and a good one
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".cue")
	}
	slices.Sort(files)
	return files
}
