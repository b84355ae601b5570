package lang

import (
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// found collects diagnostics, each mistake once.
type found struct {
	list     ir.Diagnostics
	seen     map[mistake]bool
	poisoned map[ir.Pos]bool // places of names that are already reported; what follows from them is not
	fallback ir.Pos          // for mistakes with no place of their own
	causes   map[string]bool // of errors in expressions, so that what follows from them is not reported again
	count    int             // mistakes met, those already reported included
	meant    map[string]bool // paths of fields that are there under a wrong name, which is reported
	cycles   map[string]bool // paths at which a value holds itself, which is reported
	lost     int             // values that cannot be known because of a mistake that is reported elsewhere
}

// mistake is what makes two diagnostics the same: a step written once in a comprehension is many steps, all wrong in the
// same place.
type mistake struct {
	pos     ir.Pos
	code    ir.Code
	message string
}

func (f *found) add(d ir.Diagnostic) {
	f.count++
	if !d.Pos.IsValid() {
		d.Pos = f.fallback
	}
	key := mistake{d.Pos, d.Code, d.Message}
	if f.seen[key] {
		f.lost++
		return
	}
	if f.seen == nil {
		f.seen = map[mistake]bool{}
	}
	f.seen[key] = true
	f.list = append(f.list, d)
}

// explains reports whether there is a diagnostic for path, or for something inside of it.
func (f *found) explains(path string) bool {
	for _, d := range f.list {
		if rest, ok := strings.CutPrefix(d.Path, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// poison marks a place as reported.
func (f *found) poison(p ir.Pos) { f.poisoned[p] = true }

func (f *found) sorted() ir.Diagnostics { return f.list.Sort() }
