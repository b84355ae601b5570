package expr

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/plscript/plscript/lang/ir"
)

// Problem is a mistake in an expression.
type Problem struct {
	Offset     int // byte offset in the expression's text
	Message    string
	Suggestion string // a near name
}

var (
	reUndeclared = regexp.MustCompile(`^undeclared reference to '([^']+)'`)
	reField      = regexp.MustCompile(`^undefined field '([^']+)'`)
	reToken      = regexp.MustCompile(`(?:input|at:) '(.*?)'(?: expecting|$)`)
	reOverload   = regexp.MustCompile(`^found no matching overload for '([^']+)' applied to '(.*)'$`)
)

// problems puts CEL's issues into the user's words. A mistake that CEL reports twice at one place is kept once.
func (e *Env) problems(text string, iss *cel.Issues) []Problem {
	var out []Problem
	seen := map[int]bool{}
	for _, err := range iss.Errors() {
		off := byteOffset(text, err.Location.Line(), err.Location.Column())
		if seen[off] {
			continue
		}
		seen[off] = true
		out = append(out, e.problem(text, off, err.Message))
		if strings.HasPrefix(err.Message, "Syntax error") || strings.HasPrefix(err.Message, "comprehension exceeds") {
			break // what follows one is the parser looking for its way, or another loop of the same nest
		}
	}
	return out
}

func (e *Env) problem(text string, off int, msg string) Problem {
	p := Problem{Offset: off, Message: msg}
	if m := reUndeclared.FindStringSubmatch(msg); m != nil {
		p.Message = fmt.Sprintf("unknown name %q", m[1])
		p.Suggestion = ir.Nearest(m[1], e.names())
		if strings.HasSuffix(text[:off], "."+m[1]) { // CEL places a function of a value at its parenthesis
			p.Message, p.Offset = fmt.Sprintf("unknown function %q", m[1]), off-len(m[1])
			p.Suggestion = ir.Nearest(m[1], e.members())
		}
		return p
	}
	if name, ok := strings.CutPrefix(msg, "reserved identifier: "); ok {
		p.Message = fmt.Sprintf("%q is a reserved word of CEL and no name", name)
		if name == "namespace" && slices.Contains(e.names(), "ns") {
			p.Suggestion = "ns"
		}
		return p
	}
	if m := reField.FindStringSubmatch(msg); m != nil {
		p.Message = fmt.Sprintf("unknown field %q", m[1])
		p.Offset, p.Suggestion = e.nearField(text, off, m[1])
		return p
	}
	if m := reOverload.FindStringSubmatch(msg); m != nil {
		p.Message = e.overload(m[1], m[2])
		return p
	}
	if rest, ok := strings.CutPrefix(msg, "Syntax error: "); ok {
		p.Message = syntaxError(rest, text[:off])
		return p
	}
	p.Message = strings.TrimSpace(strings.SplitN(msg, "\n", 2)[0])
	for _, known := range phrases {
		if strings.HasPrefix(p.Message, known.cel) {
			p.Message = known.words
		}
	}
	return p
}

// phrases are for messages of CEL's that need some knowledge of it.
var phrases = []struct{ cel, words string }{
	{"comprehension exceeds nesting limit", "loops (all, exists, map, filter) may stand in each other three deep"},
	{"expression recursion limit exceeded", "nested too deeply"},
	{"invalid argument to has() macro", "has() takes a field, like has(changes.route.p99)"},
	{"invalid duration argument", "this is no duration, like '300ms' or '1h30m'"},
	{"invalid matches argument", "this is no regular expression"},
	{"type 'int' does not support field selection", "an int has no fields"},
	{"type 'string' does not support field selection", "a string has no fields"},
	{"invalid int literal", "this is no int of 64 bits"},
}

// otherLanguages are operators of other languages.
var otherLanguages = map[string]string{
	"=":   `to compare, write "=="`,
	"and": `write "&&"`, "or": `write "||"`, "=>": `write ">="`, "=<": `write "<="`,
}

// syntaxError shortens the parser's message, which lists every token that it would have taken.
func syntaxError(msg, before string) string {
	if strings.Contains(msg, "'<EOF>'") {
		return "the expression ends too early"
	}
	if m := reToken.FindStringSubmatch(msg); m != nil {
		at := strings.TrimSpace(m[1])
		if meant, ok := otherLanguages[at]; ok {
			return fmt.Sprintf("syntax error at %q: %s", at, meant)
		}
		switch {
		case at == ">" && strings.HasSuffix(before, "<"):
			return `syntax error at "<>": write "!="`
		case strings.HasSuffix(before, "not "):
			return `syntax error after "not": write "!"`
		}
		return fmt.Sprintf("syntax error at %q", at)
	}
	return "syntax error: " + msg
}

// overload says in words that an operator or function does not take what it was given, which CEL writes as
// "(int, string)", or "plscript.kube.(int)" for a function of a value.
func (e *Env) overload(fn, args string) string {
	args = typeWords.Replace(args)
	receiver, rest, member := strings.Cut(args, ".(")
	if member {
		args = rest
	}
	parts := splitTypes(strings.TrimSuffix(strings.TrimPrefix(args, "("), ")"))
	given := strings.Join(parts, ", ")
	switch op := strings.Trim(fn, "_"); {
	case op == "?_:" && len(parts) == 3:
		return fmt.Sprintf("both sides of ?: have to be of one type, got %s and %s", parts[1], parts[2])
	case op == "[_]" && len(parts) == 2:
		return fmt.Sprintf("cannot look up %s in %s", withArticle(parts[1]), parts[0])
	case op != fn && len(parts) == 2:
		return fmt.Sprintf("cannot use %s between %s and %s", op, parts[0], parts[1])
	case member && !e.has(fn):
		return fmt.Sprintf("%s cannot be called on %s with (%s)", fn, withArticle(receiver), given)
	}
	var takes []string
	for _, f := range e.funcs {
		if f.Name == fn {
			takes = append(takes, "("+strings.Join(f.written(), ", ")+")")
		}
	}
	if takes != nil {
		return fmt.Sprintf("%s takes %s, got (%s)", fn, strings.Join(takes, " or "), given)
	}
	return fmt.Sprintf("%s does not take (%s)", strings.Trim(fn, "_"), given)
}

var typeWords = strings.NewReplacer("plscript.", "", "google.protobuf.Duration", "duration", "google.protobuf.Timestamp", "timestamp")

// splitTypes splits a list of types at the commas that are in none of them.
func splitTypes(list string) []string {
	var parts []string
	depth, from := 0, 0
	for i, c := range list {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	if last := strings.TrimSpace(list[from:]); last != "" {
		parts = append(parts, last)
	}
	return parts
}

// written are the types of the arguments that are written between the parentheses.
func (f Func) written() []string {
	args := f.Args
	if f.Member || f.Hidden != "" {
		args = args[1:]
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = strings.ReplaceAll(a.String(), "(<T>)", "") // a list of anything
	}
	return words
}

// nearField moves off from the dot, where CEL reports an unknown field, to its name, and finds a near field in any
// type.
func (e *Env) nearField(text string, off int, field string) (int, string) {
	if off < len(text) {
		if i := strings.Index(text[off:], field); i >= 0 && i < 3 {
			off += i
		}
	}
	var names []string
	for _, o := range e.types {
		for _, f := range o.Fields {
			names = append(names, f.Name)
		}
	}
	return off, ir.Nearest(field, names)
}

func (e *Env) names() []string {
	var names []string
	for _, v := range e.vars {
		names = append(names, v.Name)
	}
	for _, f := range e.funcs {
		if !f.Member {
			names = append(names, f.Name)
		}
	}
	return append(names, "size", "duration", "string", "int", "double", "has", "matches", "true", "false")
}

// members are the functions that are called on a value, of ours and the usual ones of CEL.
func (e *Env) members() []string {
	names := []string{"size", "all", "exists", "exists_one", "map", "filter", "startsWith", "endsWith", "contains", "matches",
		"split", "join", "replace", "substring", "trim", "lowerAscii", "upperAscii", "indexOf", "format", "sort", "distinct",
		"flatten", "slice", "reverse", "getHours", "getMinutes", "getSeconds", "getMilliseconds"}
	for _, f := range e.funcs {
		if f.Member {
			names = append(names, f.Name)
		}
	}
	return names
}

// byteOffset turns CEL's line (from 1) and column (from 0, in characters) into a byte offset of text.
func byteOffset(text string, line, col int) int {
	off := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(text[off:], '\n')
		if i < 0 {
			break
		}
		off += i + 1
	}
	for ; col > 0 && off < len(text); col-- {
		_, n := utf8.DecodeRuneInString(text[off:])
		off += n
	}
	return off
}

func withArticle(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

func typeName(t *cel.Type) string {
	switch t.Kind() {
	case types.StructKind:
		return "group of values"
	case types.DurationKind:
		return "duration"
	}
	return t.String()
}

// readPaths lists the variables and fields that an expression reads, the longest chain of each.
func readPaths(a *cel.Ast) []string {
	var out []string
	seen := map[string]bool{}
	inner := map[int64]bool{}
	root := ast.NavigateAST(a.NativeRep())
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if inner[e.ID()] {
			return
		}
		path, ok := chain(e, inner)
		if ok && !seen[path] {
			seen[path] = true
			out = append(out, path)
		}
	}))
	return out
}

// chain returns "a.b.c" for a selection and marks the expressions inside it.
func chain(e ast.Expr, inner map[int64]bool) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), !strings.HasPrefix(e.AsIdent(), "__")
	case ast.SelectKind:
		s := e.AsSelect()
		head, ok := chain(s.Operand(), inner)
		if !ok {
			return "", false
		}
		inner[s.Operand().ID()] = true
		return head + "." + s.FieldName(), true
	}
	return "", false
}
