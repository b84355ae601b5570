package lang

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/plscript/plscript/lang/ir"
)

// files reads and keeps the user's files: the scenario, the files of its package, the packages it imports.
type files struct {
	in     Input
	found  *found
	module string             // the path of the user's module, "" if there is none
	byName map[string]*source // by the name in diagnostics
	main   []*source          // the scenario, then the other files of its package
}

// source is one of the user's files.
type source struct {
	path    string // in Input.FS
	name    string // in diagnostics
	content []byte // without a byte order mark
	syntax  *ast.File
}

func newFiles(in Input, found *found) *files {
	return &files{in: in, found: found, byName: map[string]*source{}}
}

// scenario reads the scenario file and those that belong to it, and reports whether it can be evaluated.
func (f *files) scenario() (*source, bool) {
	f.module = moduleOf(f.in.FS)
	main, ok := f.read(f.in.Path)
	if !ok {
		return nil, false
	}
	if empty(main.syntax) {
		f.found.add(ir.Diagnostic{Pos: start(main.name), Code: ir.CodeEmpty,
			Message: "the file is empty: a scenario needs a name and phases"})
		return nil, false
	}
	f.main = []*source{main}
	if pkg := main.syntax.PackageName(); pkg != "" && pkg != "_" {
		for _, p := range f.packageFiles(path.Dir(f.in.Path), pkg) {
			if p == f.in.Path {
				continue
			}
			src, read := f.read(p)
			if !read {
				ok = false
			} else if !isScenario(src.syntax) {
				f.main = append(f.main, src)
			}
		}
	}
	return main, ok
}

// read parses the file at p, which is a path in the input's FS.
func (f *files) read(p string) (*source, bool) {
	src := &source{path: p, name: f.display(p)}
	if known := f.byName[src.name]; known != nil {
		return known, known.syntax != nil
	}
	content, d := readText(f.in.FS, p, src.name)
	if d != nil {
		f.found.add(*d)
		return nil, false
	}
	src.content = content
	f.byName[src.name] = src
	syntax, err := parser.ParseFile(src.name, content, parser.ParseComments)
	if err != nil {
		f.found.syntaxError(err, content)
		return nil, false
	}
	src.syntax = syntax
	f.attributes(syntax)
	return src, true
}

// moduleFile is what makes a folder a module.
const moduleFile = "cue.mod/module.cue"

// readText reads the file at p, which diagnostics call name, unless it is too large or no text.
func readText(fsys fs.FS, p, name string) ([]byte, *ir.Diagnostic) {
	unreadable := func(format string, args ...any) *ir.Diagnostic {
		return &ir.Diagnostic{Pos: start(name), Code: ir.CodeUnreadable, Message: fmt.Sprintf(format, args...)}
	}
	info, err := fs.Stat(fsys, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, unreadable("there is no such file")
	case err != nil:
		return nil, unreadable("cannot read the file: %v", err)
	case info.IsDir():
		return nil, unreadable("this is a folder, not a scenario file")
	case !info.Mode().IsRegular():
		return nil, unreadable("this is not a regular file")
	case info.Size() > maxFileBytes:
		return nil, unreadable("the file is too large: %d bytes, above the limit of %d", info.Size(), maxFileBytes)
	}
	content, err := fs.ReadFile(fsys, p)
	if err != nil {
		return nil, unreadable("cannot read the file: %v", err)
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if !utf8.Valid(content) {
		return nil, unreadable("this is not a text file: it is not valid UTF-8")
	}
	return content, scan(name, content)
}

// display is the name of the file at p, as seen from where the user typed the scenario's name.
func (f *files) display(p string) string {
	if p == f.in.Path {
		return f.in.name()
	}
	from, to := strings.Split(path.Clean(f.in.Path), "/"), strings.Split(path.Clean(p), "/")
	for len(from) > 1 && len(to) > 1 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	return path.Join(path.Dir(f.in.name()), strings.Repeat("../", len(from)-1)+path.Join(to...))
}

// packageFiles are the paths of the CUE files in dir that belong to package pkg, as `cue` would find them.
func (f *files) packageFiles(dir, pkg string) []string {
	entries, err := fs.ReadDir(f.in.FS, dir)
	if err != nil {
		return nil
	}
	var paths []string
	for _, e := range entries {
		if e.IsDir() || !isCUE(e.Name()) {
			continue
		}
		p := path.Join(dir, e.Name())
		content, d := readText(f.in.FS, p, f.display(p))
		if d != nil {
			continue
		}
		syntax, err := parser.ParseFile(e.Name(), content, parser.PackageClauseOnly)
		if err == nil && syntax.PackageName() == pkg {
			paths = append(paths, p)
		}
	}
	return paths
}

func isCUE(name string) bool {
	return strings.HasSuffix(name, ".cue") && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".") &&
		!strings.HasSuffix(name, "_test.cue") && !strings.HasSuffix(name, "_tool.cue")
}

// empty reports whether a file says nothing.
func empty(f *ast.File) bool {
	for _, d := range f.Decls {
		switch d.(type) {
		case *ast.Package, *ast.ImportDecl, *ast.CommentGroup:
		default:
			return false
		}
	}
	return true
}

// moduleOf is the path of the module at the root of fsys, without its version, or "".
func moduleOf(fsys fs.FS) string {
	content, d := readText(fsys, moduleFile, moduleFile)
	if d != nil {
		return ""
	}
	syntax, err := parser.ParseFile(moduleFile, content)
	if err != nil {
		return ""
	}
	for _, d := range syntax.Decls {
		field, ok := d.(*ast.Field)
		if !ok || labelName(field) != "module" {
			continue
		}
		if lit, ok := field.Value.(*ast.BasicLit); ok {
			return ast.ParseImportPath(strings.Trim(lit.Value, `"`)).Path
		}
	}
	return ""
}

// labelName is the name of a field, "" where it is computed.
func labelName(f *ast.Field) string {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		return ""
	}
	return name
}
