// Package schema holds the plscript language in CUE: the definitions that a scenario file is checked against, which are
// also what `cue vet` and editors read. Package lang loads them; the definitions of the actions are generated from the
// actions' own fragments.
package schema

import "embed"

// ImportPath is what a scenario file imports to name the definitions.
const ImportPath = "github.com/plscript/plscript/schema"

// Generated is the file that holds the actions' definitions, written by lang.Assemble.
const Generated = "actions_gen.cue"

// FS holds the schema's CUE files, with this folder as its root.
//
//go:embed *.cue objects/*.cue
var FS embed.FS
