package lang

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// Scenarios lists the scenario files below dir, in lexical order: CUE files with phases. Other CUE files there are parts
// of scenarios. A file that cannot be read or does not parse is listed, so that loading it says why. Folders that start with "." or "_",
// cue.mod and testdata are skipped, unless dir itself is one.
func Scenarios(fsys fs.FS, dir string) ([]string, error) {
	var found []string
	err := fs.WalkDir(fsys, dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			if p != dir && skipped(path.Base(p)) {
				return fs.SkipDir
			}
			return nil
		case !isCUE(e.Name()):
			return nil
		}
		content, d := readText(fsys, p, p)
		if d != nil {
			found = append(found, p)
			return nil
		}
		syntax, err := parser.ParseFile(p, content)
		if err != nil || isScenario(syntax) {
			found = append(found, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list scenarios in %s: %w", dir, err)
	}
	return found, nil
}

func skipped(folder string) bool {
	return folder == "cue.mod" || folder == "testdata" || strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_")
}

// isScenario reports whether a file has phases, or says that it is a scenario by naming schema.#Scenario.
func isScenario(f *ast.File) bool {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.Field:
			if labelName(d) == "phases" {
				return true
			}
		case *ast.EmbedDecl:
			if embedsScenario(d.Expr) {
				return true
			}
		}
	}
	return false
}

func embedsScenario(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return embedsScenario(e.X) || embedsScenario(e.Y)
	case *ast.ParenExpr:
		return embedsScenario(e.X)
	case *ast.StructLit:
		for _, d := range e.Elts {
			if field, ok := d.(*ast.Field); ok && labelName(field) == "phases" {
				return true
			}
		}
	case *ast.SelectorExpr:
		name, _, err := ast.LabelName(e.Sel)
		return err == nil && name == "#Scenario"
	}
	return false
}
