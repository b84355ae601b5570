package lang

import (
	"strings"
	"testing"

	"github.com/plscript/plscript/actions"
)

// Every template of the object library says what it is for, and is used by an example of apply, all of which are
// validated and planned beside the actions.
func TestLibraryIsDocumentedAndUsed(t *testing.T) {
	t.Parallel()
	r, err := Describe(actions.All())
	if err != nil {
		t.Fatal(err)
	}
	examples, err := actions.Examples("apply")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Objects) < 16 {
		t.Errorf("the library has %d templates", len(r.Objects))
	}
	for _, o := range r.Objects {
		if o.Doc == "" {
			t.Errorf("#%s has no comment", o.Name)
		}
		for _, f := range o.Fields {
			if f.Doc == "" {
				t.Errorf("#%s: %s has no comment", o.Name, f.Name)
			}
		}
		used := false
		for _, e := range examples {
			used = used || strings.Contains(e.Text, "obj.#"+o.Name)
		}
		if !used && o.Name != "Object" {
			t.Errorf("no example of apply uses #%s", o.Name)
		}
	}
}
