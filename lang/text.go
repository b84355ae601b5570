package lang

import (
	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// Conditions, durations and rates are texts. Without quotes they are expressions of CUE's, with one unknown name or more
// in each; the mistake is one.

// textField is the field around pos if its value is a text wherever the language has a field of that name, else nil.
func (l *load) textField(f *ast.File, pos token.Pos) *ast.Field {
	if l.defs == nil {
		return nil
	}
	var inner *ast.Field
	ast.Walk(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Value.Pos().Compare(pos) <= 0 && pos.Compare(field.Value.End()) < 0 {
			inner = field
		}
		return true
	}, nil)
	if inner == nil || !l.defs.isText(labelName(inner)) {
		return nil
	}
	return inner
}

// isText reports whether the language has a field of that name, and takes nothing but texts there, or structs.
func (d *definitions) isText(name string) bool {
	found := false
	parts := []cue.Value{d.scenario, d.phase, d.threshold, d.anyStep}
	for _, action := range d.actions {
		parts = append(parts, action)
	}
	for _, part := range parts {
		f, ok := d.fields(part)[name]
		if !ok {
			continue
		}
		if k := f.value.IncompleteKind(); k&cue.StringKind == 0 || k&(cue.NumberKind|cue.BoolKind) != 0 {
			return false
		}
		found = true
	}
	return found
}

// poisonField replaces the value of a field, all of whose names are then reported.
func (l *load) poisonField(field *ast.Field) {
	at := field.Value.Pos()
	ast.Walk(field.Value, func(n ast.Node) bool {
		l.found.poison(place(n.Pos()))
		return true
	}, nil)
	field.Value = &ast.BottomLit{Bottom: at}
}
