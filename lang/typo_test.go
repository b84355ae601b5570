package lang

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/plscript/plscript/actions"
)

// One letter too many in the name of a field is one mistake, at that name, whatever else depends on the field. It is no
// mistake only where names are free: parameters, labels, hidden fields and definitions.
func TestOneTypoIsOneDiagnostic(t *testing.T) {
	t.Parallel()
	for _, kind := range actions.All().Kinds() {
		examples, err := actions.Examples(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range examples[len(examples)-1:] { // one of each action, as each label costs a load
			t.Run(kind+"/"+e.Name, func(t *testing.T) {
				t.Parallel()
				for _, label := range labels(t, e.Text) {
					at := label.Pos().Offset()
					end := at + len(label.Name)
					src := e.Text[:end] + label.Name[len(label.Name)-1:] + e.Text[end:]
					ds := validate(t.Context(), "f.cue", []byte(src))
					switch {
					case len(ds) == 0 && free[label.Name]:
					case len(ds) != 1:
						t.Errorf("%s misspelled at line %d: %d diagnostics:\n%v", label.Name, label.Pos().Line(), len(ds), ds)
					case !strings.Contains(ds[0].Message, label.Name+label.Name[len(label.Name)-1:]) && !free[label.Name]:
						t.Errorf("%s misspelled at line %d: %v", label.Name, label.Pos().Line(), ds)
					}
				}
			})
		}
	}
}

// free are names in the examples that the file may choose.
var free = map[string]bool{"team": true, "version": true, "routes": true, "app": true, "tier": true, "istio": true}

func labels(t *testing.T, src string) []*ast.Ident {
	t.Helper()
	f, err := parser.ParseFile("f.cue", src)
	if err != nil {
		t.Fatal(err)
	}
	var list []*ast.Ident
	seen := map[string]bool{} // each name once, where it stands first
	ast.Walk(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok {
			if id, ok := field.Label.(*ast.Ident); ok && !strings.HasPrefix(id.Name, "_") && !seen[id.Name] {
				seen[id.Name] = true
				list = append(list, id)
			}
		}
		return true
	}, nil)
	return list
}
