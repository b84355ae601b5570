package lang

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/schema"
)

// EditorSchema is the schema as `cue vet` and editors need it in a module of their own: every file by its path in the
// schema's folder, the one that [Assemble] writes and the object library included.
//
// It has no defaults but says them in the comments. To CUE a parameter with a default is ambiguous in a field that has
// another one, and `cue vet -c` would refuse the most ordinary scenario.
func EditorSchema(cat ir.Catalog) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(schema.FS, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Base(p) == schema.Generated {
			return err
		}
		content, err := fs.ReadFile(schema.FS, p)
		if err != nil {
			return err
		}
		if path.Dir(p) == "." {
			content, err = withoutDefaults(p, content)
		}
		files[p] = content
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	files[schema.Generated], err = Assemble(cat)
	return files, err
}

func withoutDefaults(name string, content []byte) ([]byte, error) {
	f, err := parser.ParseFile(name, content, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	stripDefaults(f)
	out, err := format.Node(f)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// stripDefaults makes each field that has a default an optional one without.
func stripDefaults(f *ast.File) {
	astutil.Apply(f, nil, func(c astutil.Cursor) bool {
		field, ok := c.Node().(*ast.Field)
		if !ok || field.Constraint != token.ILLEGAL {
			return true
		}
		alternatives := choices(field.Value)
		value := ""
		for i, alt := range alternatives {
			if u, ok := alt.(*ast.UnaryExpr); ok && u.Op == token.MUL {
				text, err := format.Node(u.X)
				if err != nil {
					return true
				}
				value = string(bytes.TrimSpace(text))
				alternatives[i] = u.X
			}
		}
		if value != "" {
			field.Constraint = token.OPTION
			field.Value = ast.NewBinExpr(orToken, alternatives...)
			addLine(field, "Default: "+value+".")
		}
		return true
	})
}

// choices takes a | b | c apart.
func choices(e ast.Expr) []ast.Expr {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.OR {
		return append(choices(b.X), choices(b.Y)...)
	}
	return []ast.Expr{e}
}

// addLine adds a line to the doc comment of a field, if it has one.
func addLine(field *ast.Field, line string) {
	for _, group := range ast.Comments(field) {
		if group.Doc {
			group.List = append(group.List, &ast.Comment{Text: "// " + line})
			return
		}
	}
}
