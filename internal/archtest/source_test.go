package archtest

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

// outermost are the folders where programs meet the machine; below them clock, randomness, files and contexts are
// handed in.
var outermost = []string{"cmd/", "sandbox/", "internal/"}

// banned lists what code inside may not use, by import path; nil bans the whole package. Of math/rand everything is
// banned that draws from the global source.
var banned = map[string]func(name string) bool{
	"os":        nil,
	"os/exec":   nil,
	"os/signal": nil,
	"time":      oneOf("Now", "Since", "Until", "Sleep"),
	"context":   oneOf("Background", "TO"+"DO"),
	"math/rand": globalRandom, "math/rand/v2": globalRandom,
}

func oneOf(names ...string) func(string) bool {
	return func(name string) bool {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return false
	}
}

// globalRandom reports whether name draws from the global source: every lower-level constructor and type is fine.
func globalRandom(name string) bool {
	return !strings.HasPrefix(name, "New") && !oneOf("Rand", "Source", "Source64", "PCG", "ChaCha8", "Zipf")(name)
}

// mayTouchTheOutside reports whether the rule leaves a file alone: it lies in an outermost folder, or in a package that
// only tests import, which by convention ends in "test".
func mayTouchTheOutside(file string) bool {
	for _, dir := range outermost {
		if strings.HasPrefix(file, dir) {
			return true
		}
	}
	return strings.HasSuffix(path.Dir(file), "test")
}

func TestNothingInsideTouchesTheOutside(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if mayTouchTheOutside(f.path) {
			continue
		}
		names := map[string]func(string) bool{}
		for _, imp := range f.ast.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			ban, ok := banned[p]
			switch {
			case !ok:
			case ban == nil:
				t.Errorf("%s:%d: imports %s, which belongs into cmd or sandbox", f.path, f.line(imp.Pos()), p)
			case imp.Name != nil:
				names[imp.Name.Name] = ban
			default:
				names[path.Base(strings.TrimSuffix(p, "/v2"))] = ban
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] != nil && names[x.Name](sel.Sel.Name) {
					t.Errorf("%s:%d: uses %s.%s: it has to be handed in", f.path, f.line(n.Pos()), x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestFilesAndFunctionsStayShort(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if n := f.fset.File(f.ast.Pos()).LineCount() - 1; n > maxFileLines { // the last line ends the file
			t.Errorf("%s has %d lines, more than %d: does it still hold one idea?", f.path, n, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				if n := f.line(fn.End()) - f.line(fn.Pos()) + 1; n > maxFunctionLines {
					t.Errorf("%s:%d: %s has %d lines, more than %d", f.path, f.line(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
				}
			}
		}
	}
}

func TestEveryPackageAndExportedNameIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		dir := filepath.Dir(f.path)
		documented[dir] = documented[dir] || f.ast.Doc != nil
		for _, d := range f.ast.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s:%d: %s has no comment", f.path, f.line(name.Pos()), name.Name)
			}
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

// undocumented lists the exported names of d without a comment. One comment serves a whole group of constants or
// variables; methods that only implement a well-known interface need none.
func undocumented(d ast.Decl) []*ast.Ident {
	var out []*ast.Ident
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown(d.Name.Name) {
			out = append(out, d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
					out = append(out, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc == nil && s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
					out = append(out, s.Names[0])
				}
			}
		}
	}
	return out
}

// exportedReceiver reports whether d is a function, or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func wellKnown(method string) bool {
	return oneOf("Error", "String", "Unwrap", "Is", "As", "Len", "Less", "Swap", "Read", "Write", "Close")(method)
}

// TestNothingIsLeftForLater: what is missing belongs into an issue, where somebody looks.
func TestNothingIsLeftForLater(t *testing.T) {
	t.Parallel()
	later := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, f := range goFiles(t) {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if m := later.FindString(c.Text); m != "" {
					t.Errorf("%s:%d: %s", f.path, f.line(c.Pos()), m)
				}
			}
		}
	}
}

// TestNoPathsOfOneMachine: a path that exists on one machine only is a mistake on every other.
func TestNoPathsOfOneMachine(t *testing.T) {
	t.Parallel()
	machine := regexp.MustCompile(`(^|[^\w.:/-])/(wor` + `k/\w|tm` + `p/(bash_jobs|brief|sbx))`)
	for _, name := range repoFiles(t) {
		b, err := os.ReadFile(filepath.Join(rootDir(t), name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(string(b[:min(len(b), 8000)]), 0) {
			continue // not text
		}
		for i, line := range strings.Split(string(b), "\n") {
			if m := machine.FindString(line); m != "" && !strings.Contains(name, "go.sum") {
				t.Errorf("%s:%d: names a path of one machine: %q", name, i+1, m)
			}
		}
	}
}
