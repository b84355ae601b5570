package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// Values given with -t are checked against the file before they are put into it. Once inside, CUE reports a bad one with
// no position, and a bad range as "2 errors in empty disjunction".

// param is a field marked @tag(name), or @tag(name, type=int).
type param struct {
	name  string
	kind  cue.Kind
	field *ast.Field
	value cue.Value // of the file alone
	path  []string
	pos   ir.Pos
}

// params finds the parameters of the scenario's files.
func (l *load) params(root cue.Value) []param {
	var list []param
	for _, src := range l.files.main {
		l.tags(src.syntax.Decls, nil, root, &list)
	}
	return list
}

// tags collects the parameters among decls, the fields of the struct at path.
func (l *load) tags(decls []ast.Decl, path []string, root cue.Value, list *[]param) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.EmbedDecl:
			l.tagsIn(d.Expr, path, root, list)
		case *ast.Field:
			name := labelName(d)
			if name == "" {
				continue
			}
			sub := append(slices.Clone(path), name)
			for _, a := range d.Attrs {
				if a.Name() == "tag" {
					if p, ok := l.tag(a, d, sub, root); ok {
						*list = append(*list, p)
					}
				}
			}
			l.tagsIn(d.Value, sub, root, list)
		}
	}
}

func (l *load) tagsIn(e ast.Expr, path []string, root cue.Value, list *[]param) {
	switch e := e.(type) {
	case *ast.StructLit:
		l.tags(e.Elts, path, root, list)
	case *ast.BinaryExpr:
		l.tagsIn(e.X, path, root, list)
		l.tagsIn(e.Y, path, root, list)
	case *ast.ParenExpr:
		l.tagsIn(e.X, path, root, list)
	}
}

var tagKinds = map[string]cue.Kind{
	"": cue.StringKind, "string": cue.StringKind, "int": cue.IntKind, "number": cue.NumberKind, "bool": cue.BoolKind,
}

// tag reads one @tag attribute.
func (l *load) tag(a *ast.Attribute, f *ast.Field, path []string, root cue.Value) (param, bool) {
	bad := func(code ir.Code, format string, args ...any) (param, bool) {
		l.found.add(ir.Diagnostic{Pos: place(a.Pos()), Path: strings.Join(path, "."), Code: code, Message: fmt.Sprintf(format, args...)})
		return param{}, false
	}
	_, body := a.Split()
	args := strings.Split(body, ",")
	p := param{name: strings.TrimSpace(args[0]), field: f, path: path, pos: place(f.Value.Pos())}
	if !ast.IsValidIdent(p.name) {
		return bad(ir.CodeAttribute, "want a name in @tag(name), got %q", p.name)
	}
	typ := ""
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(strings.TrimSpace(arg), "=")
		if strings.TrimSpace(key) != "type" {
			return bad(ir.CodeAttribute, "@tag knows no %q, only type=int, number, bool or string", strings.TrimSpace(key))
		}
		typ = strings.TrimSpace(value)
	}
	kind, ok := tagKinds[typ]
	if !ok {
		return bad(ir.CodeAttribute, "unknown type %q in @tag: want int, number, bool or string", typ)
	}
	p.kind = kind
	p.value = descend(root, path)
	if k := p.value.IncompleteKind(); k != cue.BottomKind && k&kind == 0 {
		return bad(ir.CodeParam, "-t %s would set %s, and the field is %s%s", p.name, kindWords(kind), kindWords(k), tagHint(p.name, k))
	}
	return p, true
}

func tagHint(name string, k cue.Kind) string {
	for _, typ := range []string{"int", "number", "bool", "string"} {
		if k&tagKinds[typ] != 0 {
			return fmt.Sprintf(": write @tag(%s, type=%s)", name, typ)
		}
	}
	return ""
}

// descend follows a path of fields, hidden ones included.
func descend(v cue.Value, path []string) cue.Value {
	for _, name := range path {
		if !v.Exists() {
			return cue.Value{}
		}
		it, err := v.Fields(cue.Hidden(true), cue.Definitions(true))
		if err != nil {
			return cue.Value{}
		}
		v = cue.Value{}
		for it.Next() {
			sel := it.Selector()
			if sel.LabelType() == cue.StringLabel && sel.Unquoted() == name || sel.LabelType() != cue.StringLabel && sel.String() == name {
				v = it.Value()
				break
			}
		}
	}
	return v
}

// inject puts the values given with -t into the syntax tree, as cue's own @tag does, and reports those that do not fit.
func (l *load) inject(root cue.Value, params []param) (changed bool) {
	for _, name := range slices.Sorted(maps.Keys(l.in.Params)) {
		text := l.in.Params[name]
		known := false
		for _, p := range params {
			if p.name != name {
				continue
			}
			known = true
			lit, d := l.literal(p, text)
			if d == nil {
				d = refuse(alternatives(p.value, ""), p.value, l.ctx.BuildExpr(lit))
			}
			if d != nil {
				d.Pos, d.Path, d.Code = p.pos, strings.Join(p.path, "."), ir.CodeParam
				d.Message = fmt.Sprintf("-t %s=%s: %s", name, text, d.Message)
				l.found.add(*d)
				continue
			}
			p.field.Value = &ast.BinaryExpr{X: &ast.ParenExpr{Lparen: p.field.Value.Pos(), X: p.field.Value}, Op: token.AND, Y: lit}
			changed = true
		}
		if !known {
			l.unknownParam(root, params, name, text)
		}
	}
	return changed
}

func (l *load) unknownParam(root cue.Value, params []param, name, text string) {
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.name
	}
	at := start(l.in.name())
	if v, ok := lookup(root, "params"); ok {
		at = l.files.labelPlace(v, at)
	}
	message := fmt.Sprintf("-t %s=%s: the scenario has no parameter %q", name, text, name)
	if len(names) > 0 {
		slices.Sort(names)
		message += "; it has " + strings.Join(slices.Compact(names), ", ")
	}
	l.found.add(ir.Diagnostic{Pos: at, Code: ir.CodeParam, Message: message, Suggestion: ir.Nearest(name, names)})
}

// literal turns the text of -t into an expression of the parameter's type.
func (l *load) literal(p param, text string) (ast.Expr, *ir.Diagnostic) {
	if p.kind == cue.StringKind {
		return ast.NewString(text), nil
	}
	if expr, err := parser.ParseExpr("", text); err == nil {
		operand := expr
		if u, ok := expr.(*ast.UnaryExpr); ok && (u.Op == token.SUB || u.Op == token.ADD) {
			operand = u.X
		}
		if lit, ok := operand.(*ast.BasicLit); ok {
			if v := l.ctx.BuildExpr(expr); lit.Kind != token.STRING && v.Err() == nil && v.Kind()&p.kind != 0 {
				return expr, nil
			}
		}
	}
	return nil, &ir.Diagnostic{Message: "want " + kindWords(p.kind)}
}

// unset reports the parameters that have neither a value nor a default.
func (l *load) unset(root cue.Value, params []param) (any bool) {
	for _, p := range params {
		v, _ := descend(root, p.path).Default()
		if v.IncompleteKind() == cue.BottomKind || v.IsConcrete() {
			continue
		}
		any = true
		if _, given := l.in.Params[p.name]; given {
			continue // refused, and reported
		}
		l.found.add(ir.Diagnostic{Pos: p.pos, Path: strings.Join(p.path, "."), Code: ir.CodeParam,
			Message: fmt.Sprintf("has no value: set it with -t %s=..., or give it a default like *10 | int", p.name)})
	}
	return any
}

// describe lists parameters with their values in root. A name that sets several fields is listed once, for the first.
func describe(root cue.Value, params []param) []ir.Param {
	list := make([]ir.Param, 0, len(params))
	for _, p := range params {
		if slices.ContainsFunc(list, func(other ir.Param) bool { return other.Name == p.name }) {
			continue
		}
		out := ir.Param{Name: p.name, Pos: p.pos, Type: typeName(p.kind)}
		if d, ok := p.value.Default(); ok || d.IsConcrete() {
			out.Default = fmt.Sprint(d)
		}
		v := descend(root, p.path)
		if d, _ := v.Default(); d.IsConcrete() {
			out.Value = fmt.Sprint(d)
		}
		for _, group := range v.Doc() {
			out.Doc += group.Text()
		}
		out.Doc = strings.TrimSpace(out.Doc)
		list = append(list, out)
	}
	return list
}

func typeName(k cue.Kind) string {
	for name, kind := range tagKinds {
		if name != "" && kind == k {
			return name
		}
	}
	return ""
}
