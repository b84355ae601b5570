// Package lang reads a scenario file: it loads the CUE, finds every mistake in it at its place in the user's file, and
// decodes it to package ir. It is the only package that knows CUE.
//
// A scenario is not checked by unifying it with one large definition, because CUE then reports one mistake many times,
// lets one hide others, and places them in the schema. Instead the file is evaluated on its own, against a schema whose
// definitions are open (see twin), and is then walked beside the real definitions field by field; each step is checked
// against the definition of its own action only. The closed definitions that Assemble writes are for `cue vet` and
// editors, and for the walk.
package lang

import (
	"fmt"
	"io/fs"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/plscript/plscript/lang/ir"
)

// Input is a scenario file and what surrounds it.
type Input struct {
	// FS is the file's module (the folder that holds cue.mod), or the file's own folder where it is in no module. Files
	// outside of it cannot be imported.
	FS fs.FS
	// Path is the scenario file inside FS.
	Path string
	// Name is the file as the user typed it, for diagnostics. Path unless set.
	Name string
	// Params are values for the fields marked @tag(name), by name.
	Params map[string]string
	// Watch bounds the time and memory of loading; the zero Watch does not.
	Watch Watch
}

func (in Input) name() string {
	if in.Name == "" {
		return in.Path
	}
	return in.Name
}

// Load reads, checks and decodes a scenario. It returns every step that can be decoded, also when there are diagnostics,
// so that later passes can add theirs; the scenario is nil when nothing could be read from the file. A step with a value
// that depends on a mistake elsewhere in the file is left out. A step whose action
// is unknown has a nil Body. A bad field of a step has its zero value.
//
// Load does not return early on a canceled context, since CUE cannot be interrupted; see [Watch].
func Load(in Input, cat ir.Catalog) (*ir.Scenario, ir.Diagnostics) {
	var s *ir.Scenario
	ds := in.Watch.guard(in.name(), func() ir.Diagnostics {
		l := newLoad(in, cat)
		s = l.scenario()
		return l.found.sorted()
	})
	if tooExpensive(ds) {
		return nil, ds // the evaluation may still be running and own s
	}
	return s, ds
}

// Params lists the parameters of a scenario without checking the rest of it.
func Params(in Input) ([]ir.Param, ir.Diagnostics) {
	var list []ir.Param
	ds := in.Watch.guard(in.name(), func() ir.Diagnostics {
		l := newLoad(in, noActions{})
		if _, ok := l.files.scenario(); ok {
			if root, ok := l.build(); ok {
				list = describe(root, l.params(root))
			}
		}
		return l.found.sorted()
	})
	if tooExpensive(ds) {
		return nil, ds
	}
	return list, ds
}

// noActions is the empty catalog.
type noActions struct{}

func (noActions) Lookup(string) (ir.Fragment, bool) { return ir.Fragment{}, false }
func (noActions) Kinds() []string                   { return nil }

// load is the state of one Load.
type load struct {
	in    Input
	cat   ir.Catalog
	ctx   *cue.Context
	files *files
	found *found
	defs  *definitions
}

func newLoad(in Input, cat ir.Catalog) *load {
	found := &found{fallback: start(in.name()), poisoned: map[ir.Pos]bool{}, meant: map[string]bool{}}
	return &load{in: in, cat: cat, ctx: cuecontext.New(), found: found, files: newFiles(in, found)}
}

func (l *load) scenario() *ir.Scenario {
	main, ok := l.files.scenario()
	if !ok {
		return nil
	}
	defs, err := compile(l.ctx, l.cat)
	if err != nil {
		l.found.add(ir.Diagnostic{Pos: start(main.name), Code: ir.CodeInternal, Message: fmt.Sprintf("the schema does not compile: %v", err)})
		return nil
	}
	l.defs = defs
	root, ok := l.build()
	if !ok {
		return nil
	}
	params := l.params(root)
	if l.inject(root, params) {
		if root, ok = l.build(); !ok {
			return nil
		}
	}
	c := &checker{load: l, root: root, unset: l.unset(root, params)}
	s := c.scenario(root)
	s.File = main.name
	s.Params = describe(root, params)
	s.Sizes = c.sizes(root, params)
	return s
}
