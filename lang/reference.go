package lang

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// Reference describes the whole language, as the schema and the actions' fragments declare it.
type Reference struct {
	Scenario []Definition // the scenario first, then what it is made of
	Step     Definition   // the fields that every step has
	Actions  []Action     // by name
	Values   []Definition // durations, rates and so on
	Objects  []Definition // the object library
}

// Action describes one action.
type Action struct {
	Definition
	Retry bool         // onError: "retry" is allowed
	Parts []Definition // what its fields refer to
}

// Definition describes one definition of the language.
type Definition struct {
	Name   string // without "#"
	Doc    string
	Type   string // as CUE, where it is not a struct
	Fields []Field
}

// Field describes one field of a [Definition].
type Field struct {
	Name     string // "stages[].rate" where it is inside of another
	Doc      string
	Type     string // as CUE, without the default
	Default  string // as CUE, "" if there is none
	Required bool
}

// Summary is the first sentence of the definition's comment.
func (d Definition) Summary() string {
	text := strings.Join(strings.Fields(d.Doc), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		return text[:i+1]
	}
	return text
}

// Describe reads the reference from the schema and cat.
func Describe(cat ir.Catalog) (Reference, error) {
	var r Reference
	files, err := schemaFiles(".")
	if err != nil {
		return r, err
	}
	for _, f := range files {
		for _, d := range definitionsIn(f) {
			switch {
			case d.Name == "_stepCommon":
				r.Step = d
			case d.Name == "AnyStep":
			case strings.HasSuffix(f.Filename, "values.cue"):
				r.Values = append(r.Values, d)
			default:
				r.Scenario = append(r.Scenario, d)
			}
		}
	}
	for _, kind := range cat.Kinds() {
		frag, _ := cat.Lookup(kind)
		f, err := fragmentFile(frag)
		if err != nil {
			return r, err
		}
		a := Action{Retry: frag.Idempotent}
		for _, d := range definitionsIn(f) {
			if d.Name == kind {
				a.Definition = d
			} else {
				a.Parts = append(a.Parts, d)
			}
		}
		r.Actions = append(r.Actions, a)
	}
	library, err := schemaFiles("objects")
	if err != nil {
		return r, fmt.Errorf("read the object library: %w", err)
	}
	for _, f := range library {
		r.Objects = append(r.Objects, definitionsIn(f)...)
	}
	return r, nil
}

// definitionsIn describes the definitions of a file.
func definitionsIn(f *ast.File) []Definition {
	var list []Definition
	for _, decl := range f.Decls {
		field, ok := decl.(*ast.Field)
		name := ""
		if ok {
			name = labelName(field)
		}
		if !strings.HasPrefix(name, "#") && name != "_stepCommon" {
			continue
		}
		d := Definition{Name: strings.TrimPrefix(name, "#"), Doc: comment(field)}
		if body := structIn(field.Value); body != nil {
			d.Fields = fieldsIn(body, "")
		} else {
			d.Type = typeText(field.Value)
		}
		list = append(list, d)
	}
	return list
}

// structIn is the struct literal that a definition is, or adds to a template: #Object & {...}.
func structIn(e ast.Expr) *ast.StructLit {
	switch e := e.(type) {
	case *ast.StructLit:
		return e
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			return structIn(e.Y)
		}
	}
	return nil
}

// fieldsIn describes the documented fields of a struct, those of structs inside of it included.
func fieldsIn(s *ast.StructLit, prefix string) []Field {
	var list []Field
	for _, decl := range s.Elts {
		field, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		name := labelName(field)
		if name == "" || name == "action" && comment(field) == "" {
			continue
		}
		inner := structIn(field.Value)
		if inner != nil && !named(inner) {
			inner = nil // a map: what it may be says more than its fields
		}
		f := Field{Name: prefix + name, Doc: comment(field), Required: field.Constraint == token.NOT, Type: "{...}"}
		if inner == nil {
			f.Type, f.Default = typeText(field.Value), defaultText(field.Value)
		}
		if f.Doc != "" {
			list = append(list, f)
		}
		if inner != nil {
			list = append(list, fieldsIn(inner, f.Name+".")...)
		}
	}
	return list
}

// named reports whether a struct has a field with a name.
func named(s *ast.StructLit) bool {
	for _, decl := range s.Elts {
		if field, ok := decl.(*ast.Field); ok && labelName(field) != "" {
			return true
		}
	}
	return false
}

func comment(n ast.Node) string {
	var text []string
	for _, group := range ast.Comments(n) {
		if group.Doc {
			text = append(text, strings.TrimSpace(group.Text()))
		}
	}
	return strings.Join(text, "\n\n")
}

// typeText is what a field may be, without its default and without the messages for mistakes.
func typeText(e ast.Expr) string {
	var parts []string
	for _, alt := range choices(e) {
		switch x := alt.(type) {
		case *ast.UnaryExpr:
			if x.Op == token.MUL {
				alt = x.X
			}
		case *ast.CallExpr:
			if id, ok := x.Fun.(*ast.Ident); ok && id.Name == "error" {
				continue
			}
		}
		parts = append(parts, cueText(alt))
	}
	if len(parts) == 2 && defaultText(e) == parts[0] && !strings.HasPrefix(parts[1], `"`) {
		parts = parts[1:] // *1 | int: the default is an int
	}
	return strings.Join(parts, " | ")
}

func defaultText(e ast.Expr) string {
	for _, alt := range choices(e) {
		if u, ok := alt.(*ast.UnaryExpr); ok && u.Op == token.MUL {
			return cueText(u.X)
		}
	}
	return ""
}

// cueText is an expression on one line.
func cueText(e ast.Expr) string {
	out, err := format.Node(e, format.Simplify())
	if err != nil {
		return ""
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	return strings.NewReplacer("{ ", "{", " }", "}").Replace(text)
}
