package archtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// anything is the permission of the composition root.
const anything = "*"

// mayImport is the table of docs/architecture.md: which packages of ours each may import, outside tests. A package that
// is not listed belongs to the nearest one above it that is, and obeys its rule.
var mayImport = map[string][]string{
	"schema":                    {},
	"lang/ir":                   {},
	"lang":                      {"schema", "lang/ir"},
	"runtime":                   {"lang/ir"},
	"runtime/apiwriter":         {"runtime", "runtime/internal/grpcwire"},
	"runtime/xdspool":           {"runtime", "runtime/internal/grpcwire"},
	"runtime/internal/grpcwire": {},
	"runtime/cluster":           {"runtime"},
	"runtime/istiod":            {"runtime"},
	"runtime/injector":          {"runtime"},
	"runtime/capture":           {"runtime", "lang/ir"},
	"runtime/dump":              {"runtime"},
	"runtime/report":            {"runtime"},
	"actions":                   {"runtime", "runtime/capture", "lang/ir"},
	"sandbox":                   {},
	"gateway":                   {},
	"scenarios":                 {},
	"deploy":                    {},
	"integration":               {},
	"internal":                  {},
	"internal/bench":            {"runtime/report"},
	"cmd":                       {anything},
}

// owner is the listed package that a package belongs to, "" if there is none.
func owner(path string) string {
	for {
		if _, ok := mayImport[path]; ok {
			return path
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return ""
		}
		path = path[:i]
	}
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		self := owner(rel(p.ImportPath))
		if self == "" && len(p.Imports) > 0 {
			t.Errorf("%s is in no row of the table: give it one, here and in docs/architecture.md", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			to := owner(rel(imp))
			if to != self && !slices.Contains(mayImport[self], to) && !slices.Contains(mayImport[self], anything) {
				t.Errorf("%s imports %s: %s may import %q", p.ImportPath, imp, self, mayImport[self])
			}
		}
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"runtime": "runtime", "runtime/expr": "runtime", "runtime/report/html": "runtime/report", "lang/ir": "lang/ir",
		"cmd/plscript": "cmd", "runtimes": "", ".": "",
	} {
		if got := owner(path); got != want {
			t.Errorf("owner(%s) = %q, want %q", path, got, want)
		}
	}
}

// TestTestSupportStaysInTests: a package that ends in "test" may do what others may not, so no program may hold it.
func TestTestSupportStaysInTests(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module+"/") && strings.HasSuffix(imp, "test") && !strings.HasSuffix(p.ImportPath, "test") {
				t.Errorf("%s imports %s outside its tests", p.ImportPath, imp)
			}
		}
	}
}

func TestTheTableIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join(rootDir(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for path := range mayImport {
		if !strings.Contains(string(doc), "`"+path+"/`") {
			t.Errorf("docs/architecture.md does not name `%s/`", path)
		}
	}
}

// TestCUEStopsAtLang: a cue.Value outside lang would tie every package to one evaluator and its positions.
func TestCUEStopsAtLang(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if owner(rel(p.ImportPath)) == "lang" {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "cuelang.org/go/") {
				t.Errorf("%s imports %s, which only lang may", p.ImportPath, imp)
			}
		}
	}
}

func TestTheChosenLibrariesAreUsed(t *testing.T) {
	t.Parallel()
	unused := []string{
		"cuelang.org/go", "github.com/envoyproxy/go-control-plane", "github.com/google/cel-go", "github.com/urfave/cli/v2",
		"google.golang.org/grpc", "istio.io/client-go", "k8s.io/client-go",
	}
	for _, p := range packages(t) {
		unused = slices.DeleteFunc(unused, func(lib string) bool {
			return slices.ContainsFunc(p.Imports, func(imp string) bool { return imp == lib || strings.HasPrefix(imp, lib+"/") })
		})
	}
	if len(unused) > 0 {
		t.Errorf("no code outside tests imports %q", unused)
	}
}

// TestNoReplace: `go install` refuses a module whose go.mod has a replace.
func TestNoReplace(t *testing.T) {
	t.Parallel()
	out, err := output(rootDir(t), "go", "mod", "edit", "-json")
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Replace []any }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace) > 0 {
		t.Errorf("go.mod has %d replace directives", len(mod.Replace))
	}
}

func TestPackageNamesSayWhatThePackageIs(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "model", "models", "types", "misc"}, p.Name) {
			t.Errorf("%s: %q names a drawer, not a thing", p.ImportPath, p.Name)
		}
	}
}
