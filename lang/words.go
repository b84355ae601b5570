package lang

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// alternative is one of the things that a definition accepts.
type alternative struct {
	value   cue.Value
	ref     string // the definition that it comes from, "#Rate"
	message string // what error("...") says if no alternative fits; the value is then an error
}

// alternatives takes a definition apart down to what is not a choice.
func alternatives(def cue.Value, ref string) []alternative {
	if _, p := def.ReferencePath(); len(p.Selectors()) > 0 {
		sels := p.Selectors()
		if last := sels[len(sels)-1]; last.IsDefinition() {
			ref = last.String()
		}
		def = cue.Dereference(def)
	}
	if def.IncompleteKind() == cue.BottomKind {
		for _, e := range errors.Errors(def.Err()) {
			format, args := e.Msg()
			return []alternative{{message: fmt.Sprintf(format, args...)}}
		}
		return nil
	}
	op, parts := def.Expr()
	if op == cue.NoOp && len(parts) == 1 {
		// A choice is given without a default that the rest includes: *5 | int as int.
		def = parts[0]
		op, parts = def.Expr()
	}
	if op != cue.OrOp && op != cue.AndOp || op == cue.AndOp && !anyChoice(parts) {
		return []alternative{{value: def, ref: ref}}
	}
	var all []alternative
	for _, part := range parts {
		all = append(all, alternatives(part, ref)...)
	}
	return all
}

// anyChoice reports whether a part of a conjunction has alternatives of its own.
func anyChoice(parts []cue.Value) bool {
	for _, p := range parts {
		switch op, more := cue.Dereference(p).Expr(); op {
		case cue.OrOp:
			return true
		case cue.AndOp:
			if anyChoice(more) {
				return true
			}
		}
	}
	return false
}

// syntaxes are the definitions of strings that have a parser of their own, which knows better what is wrong.
var syntaxes = map[string]func(string) error{
	"#Duration":     func(s string) error { _, err := ir.ParseDuration(s); return err },
	"#ConstantRate": func(s string) error { _, err := ir.ParseRate(s); return err },
	"#Rate":         func(s string) error { _, err := ir.ParseRate(s); return err },
}

// refuse explains why def, whose alternatives are alts, does not accept the concrete scalar got; nil if it does. Only
// code, message and suggestion are set.
func refuse(alts []alternative, def, got cue.Value) *ir.Diagnostic {
	if text, err := got.String(); err == nil {
		for _, a := range alts {
			if parse := syntaxes[a.ref]; parse != nil {
				if err := parse(text); err != nil && !isLiteral(alts, got) {
					return &ir.Diagnostic{Code: ir.CodeValue, Message: err.Error()}
				}
				break
			}
		}
	}
	err := def.Unify(got).Err()
	if err == nil {
		return nil
	}
	if part, ok := refusing(def, got); ok {
		alts, def = alternatives(part, ""), part
	}
	return mismatch(alts, def, got, err)
}

// refusing finds the part of a conjunction of choices that does not accept got: a name is both #Name, which may refuse
// it, and the #Text of every step's name.
func refusing(def, got cue.Value) (cue.Value, bool) {
	op, parts := cue.Dereference(def).Expr()
	if op != cue.AndOp || !anyChoice(parts) {
		return def, false
	}
	for _, part := range parts {
		if part.Unify(got).Err() != nil {
			return part, true
		}
	}
	return def, false
}

// isLiteral reports whether got is one of the literal alternatives, such as an "auto" beside a duration.
func isLiteral(alts []alternative, got cue.Value) bool {
	for _, a := range alts {
		if a.message == "" && a.value.IsConcrete() && a.value.Equals(got) {
			return true
		}
	}
	return false
}

// mismatch says in the user's words what def wants instead of got.
func mismatch(alts []alternative, def, got cue.Value, err error) *ir.Diagnostic {
	var kinds cue.Kind
	message := ""
	for _, a := range alts {
		if a.message != "" {
			message = a.message
			continue
		}
		kinds |= a.value.IncompleteKind()
	}
	wrongType := got.Kind()&kinds == 0
	code := ir.CodeValue
	if wrongType {
		code = ir.CodeType
	}
	if message != "" {
		return &ir.Diagnostic{Code: code, Message: message + ", got " + show(got)}
	}
	if wrongType {
		return wrongKind(kinds, got.Kind())
	}
	if d := notListed(alts, got); d != nil {
		return d
	}
	if bounds := boundsOf(def); bounds != "" {
		return &ir.Diagnostic{Code: code, Message: fmt.Sprintf("must be %s, got %s", bounds, show(got))}
	}
	return &ir.Diagnostic{Code: code, Message: fmt.Sprintf("%s is not allowed here: %s", show(got), plain(err))}
}

func wrongKind(want, got cue.Kind) *ir.Diagnostic {
	return &ir.Diagnostic{Code: ir.CodeType, Message: fmt.Sprintf("want %s, got %s", kindWords(want), kindWords(got))}
}

// notListed explains a value that is none of the values that a definition lists.
func notListed(alts []alternative, got cue.Value) *ir.Diagnostic {
	var names, quoted []string
	for _, a := range alts {
		if a.value.IncompleteKind()&got.Kind() == 0 {
			continue
		}
		if !a.value.IsConcrete() {
			return nil
		}
		if s, err := a.value.String(); err == nil {
			names = append(names, s)
		}
		quoted = append(quoted, show(a.value))
	}
	want := "want " + strings.Join(quoted, " or ")
	if len(quoted) > 2 {
		want = "want one of " + strings.Join(quoted, ", ")
	}
	d := &ir.Diagnostic{Code: ir.CodeValue, Message: fmt.Sprintf("%s, got %s", want, show(got))}
	if s, err := got.String(); err == nil {
		d.Suggestion = ir.Nearest(s, names)
	}
	return d
}

// boundsOf describes the bounds of a number, "" if def has none. CUE prints a definition with its references resolved,
// which is easier to read bounds from than the value.
func boundsOf(def cue.Value) string {
	expr, err := parser.ParseExpr("", fmt.Sprint(def))
	if err != nil {
		return ""
	}
	var words []string
	lower, unsigned := false, false
	ast.Walk(expr, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			unsigned = unsigned || strings.HasPrefix(n.Name, "uint") // CUE prints int & >=0 and more like this
		case *ast.UnaryExpr:
			lower = lower || n.Op == token.GTR || n.Op == token.GEQ
			word := map[token.Token]string{token.GTR: "above", token.GEQ: "at least", token.LSS: "below", token.LEQ: "at most", token.NEQ: "other than"}[n.Op]
			if lit, ok := n.X.(*ast.BasicLit); ok && word != "" {
				words = append(words, word+" "+lit.Value)
			}
		}
		return true
	}, nil)
	if unsigned && !lower {
		words = append([]string{"at least 0"}, words...)
	}
	return strings.Join(words, " and ")
}

// kindWords names kinds: "an int or a string".
func kindWords(k cue.Kind) string {
	if k&cue.NumberKind == cue.NumberKind {
		k = k&^cue.NumberKind | numberOnly
	}
	var words []string
	for _, w := range []struct {
		kind cue.Kind
		word string
	}{
		{cue.StringKind, "a string"}, {cue.IntKind, "an int"}, {cue.FloatKind, "a float"}, {numberOnly, "a number"},
		{cue.BoolKind, "a bool"}, {cue.ListKind, "a list"}, {cue.StructKind, "a struct"}, {cue.BytesKind, "bytes"}, {cue.NullKind, "null"},
	} {
		if k&w.kind != 0 {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "a value"
	}
	return strings.Join(words, " or ")
}

// numberOnly stands for int and float together, beyond CUE's own bits.
const numberOnly cue.Kind = 1 << 15

// show prints a value for a message, cut to a readable length.
func show(v cue.Value) string {
	text := fmt.Sprint(v)
	if s, err := v.String(); err == nil {
		text = fmt.Sprintf("%q", s)
	}
	return short(text)
}

// short cuts a value for a message.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
