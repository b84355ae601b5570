package lang

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// A scenario is built here rather than by cue/load: what it may import is a short list, nothing may reach for a registry
// on the network, and every error must have a place in the user's file.

// imports resolves the import paths of one build.
type imports struct {
	load    *load
	context *build.Context
	open    []string // the packages being loaded, to find cycles
}

func (l *load) instance() (*build.Instance, error) {
	im := &imports{load: l}
	im.context = build.NewContext(build.Loader(im.resolve))
	return im.instance(l.files.module, l.files.main)
}

func (im *imports) instance(importPath string, sources []*source) (*build.Instance, error) {
	inst := im.context.NewInstance("", nil)
	inst.ImportPath = importPath
	for _, src := range sources {
		if err := inst.AddSyntax(src.syntax); err != nil {
			return nil, err
		}
	}
	if err := inst.Complete(); err != nil {
		return nil, err
	}
	return inst, nil
}

// resolve implements build.LoadFunc. Nil leaves the path to CUE's standard library.
func (im *imports) resolve(pos token.Pos, importPath string) *build.Instance {
	at := ast.ParseImportPath(importPath)
	if dir, ok := below(schema.ImportPath, at.Path); ok {
		if inst := im.schema(dir); inst != nil {
			return inst
		}
		return im.fail(pos, "there is no package %q in plscript's schema", importPath)
	}
	dir, own := below(im.load.files.module, at.Path)
	if !own {
		return nil
	}
	if i := slices.Index(im.open, at.Path); i >= 0 {
		return im.fail(pos, "packages import each other: %s", strings.Join(append(slices.Clone(im.open[i:]), at.Path), " -> "))
	}
	im.open = append(im.open, at.Path)
	defer func() { im.open = im.open[:len(im.open)-1] }()
	return im.own(pos, dir, importPath, at.Qualifier)
}

// own loads a package of the user's module.
func (im *imports) own(pos token.Pos, dir, importPath, pkg string) *build.Instance {
	var sources []*source
	complete, before := true, im.load.found.count
	for _, p := range im.load.files.packageFiles(dir, pkg) {
		src, ok := im.load.files.read(p)
		if !ok {
			complete = false
			continue
		}
		im.load.checkImports(src)
		sources = append(sources, src)
	}
	if len(sources) == 0 && complete {
		return im.fail(pos, "there is no package %q in this module: %s has no CUE files of package %s", importPath, dir, pkg)
	}
	inst, err := im.instance(importPath, sources)
	switch {
	case err == nil && complete:
		inst.PkgName = pkg
		return inst
	case complete && im.load.found.count == before:
		return im.fail(pos, "cannot import %q: %s", importPath, plain(err))
	}
	return im.refuse(pos) // its mistakes are reported
}

// fail reports an import that does not work.
func (im *imports) fail(pos token.Pos, format string, args ...any) *build.Instance {
	im.load.found.add(ir.Diagnostic{Pos: place(pos), Code: ir.CodeImport, Message: fmt.Sprintf(format, args...)})
	return im.refuse(pos)
}

// refuse makes the build fail at an import whose mistakes are reported; repair then takes it out.
func (im *imports) refuse(pos token.Pos) *build.Instance {
	im.load.found.poison(place(pos))
	inst := im.context.NewInstance("", nil)
	inst.Err = errors.Newf(pos, "import failed")
	return inst
}

// below splits full into base and the folder below it, "." for base itself.
func below(base, full string) (dir string, ok bool) {
	if base == "" {
		return "", false
	}
	rest, ok := strings.CutPrefix(full, base)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return ".", true
	case rest[0] == '/':
		return path.Clean(rest[1:]), true
	}
	return "", false
}

// checkImports reports and removes the imports of src that a scenario may not have.
func (l *load) checkImports(src *source) {
	for decl := range src.syntax.ImportDecls() {
		for _, spec := range append([]*ast.ImportSpec(nil), decl.Specs...) {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err == nil && l.files.mayImport(importPath) {
				continue
			}
			l.found.add(ir.Diagnostic{Pos: place(spec.Path.Pos()), Code: ir.CodeImport,
				Message: fmt.Sprintf("cannot import %s: a scenario may import CUE's standard library, %q%s",
					spec.Path.Value, schema.ImportPath, l.files.ownPackages())})
			l.dropImport(src, spec)
		}
	}
	l.hiddenImports(src)
}

func (f *files) mayImport(importPath string) bool {
	at := ast.ParseImportPath(importPath)
	if _, ok := below(schema.ImportPath, at.Path); ok {
		return true
	}
	if _, ok := below(f.module, at.Path); ok {
		return true
	}
	first, _, _ := strings.Cut(at.Path, "/")
	return first != "" && first != "tool" && !strings.Contains(first, ".")
}

func (f *files) ownPackages() string {
	if f.module == "" {
		return " and nothing else (it is in no CUE module of its own)"
	}
	return fmt.Sprintf(" and packages of its own module %q", f.module)
}

// dropImport takes spec out of the file, and every use of its name with it.
func (l *load) dropImport(src *source, spec *ast.ImportSpec) {
	name := importName(spec)
	for decl := range src.syntax.ImportDecls() {
		kept := decl.Specs[:0]
		for _, s := range decl.Specs {
			if s != spec {
				kept = append(kept, s)
			}
		}
		decl.Specs = kept
	}
	l.found.poison(place(spec.Pos()))
	l.found.poison(place(spec.Path.Pos()))
	l.poisonName(src.syntax, name)
}
