package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/plscript/plscript"

// goPackage is what `go list` says of one package of the module.
type goPackage struct {
	ImportPath string
	Dir        string
	Name       string
	Imports    []string // of the package proper, not of its tests
}

// rel is the package's path below the module, "." for its root.
func rel(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// root is the folder of go.mod.
var root = sync.OnceValues(func() (string, error) {
	out, err := output("", "go", "env", "GOMOD")
	return filepath.Dir(strings.TrimSpace(string(out))), err
})

func rootDir(t *testing.T) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func output(dir, name string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &stderr)
	}
	return out, nil
}

// packages lists the packages of the main module.
func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := output(rootDir(t), "go", "list", "-e", "-json=ImportPath,Dir,Name,Imports", "./...")
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// repoFiles lists the files of the repository, those that are not committed yet included, by their path below the root.
func repoFiles(t *testing.T) []string {
	t.Helper()
	out, err := output(rootDir(t), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("not a git checkout: %v", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(rootDir(t), name)); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// goFile is a parsed source file.
type goFile struct {
	path string // below the root
	fset *token.FileSet
	ast  *ast.File
}

func (f goFile) line(p token.Pos) int { return f.fset.Position(p).Line }

// goFiles parses the Go files written by hand, without their tests.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var out []goFile
	for _, name := range repoFiles(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(rootDir(t), name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(file) {
			out = append(out, goFile{name, fset, file})
		}
	}
	return out
}
