package expr

import (
	"fmt"
	"regexp"
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
		if strings.HasPrefix(err.Message, "Syntax error") {
			break // what follows one is the parser looking for its way
		}
	}
	return out
}

func (e *Env) problem(text string, off int, msg string) Problem {
	p := Problem{Offset: off, Message: msg}
	if m := reUndeclared.FindStringSubmatch(msg); m != nil {
		p.Message = fmt.Sprintf("unknown name %q", m[1])
		p.Suggestion = ir.Nearest(m[1], e.names())
		return p
	}
	if name, ok := strings.CutPrefix(msg, "reserved identifier: "); ok {
		p.Message = fmt.Sprintf("%q is a reserved word of CEL and no name", name)
		return p
	}
	if m := reField.FindStringSubmatch(msg); m != nil {
		p.Message = fmt.Sprintf("unknown field %q", m[1])
		p.Offset, p.Suggestion = e.nearField(text, off, m[1])
		return p
	}
	if m := reOverload.FindStringSubmatch(msg); m != nil {
		p.Message = overload(m[1], m[2])
		return p
	}
	if rest, ok := strings.CutPrefix(msg, "Syntax error: "); ok {
		p.Message = syntaxError(rest)
		return p
	}
	p.Message = strings.TrimSpace(strings.SplitN(msg, "\n", 2)[0])
	return p
}

// syntaxError shortens the parser's message, which lists every token that it would have taken.
func syntaxError(msg string) string {
	if strings.Contains(msg, "'<EOF>'") {
		return "the expression ends too early"
	}
	if m := reToken.FindStringSubmatch(msg); m != nil {
		at := strings.TrimSpace(m[1])
		if at == "=" {
			return `syntax error at "=": to compare, write "=="`
		}
		return fmt.Sprintf("syntax error at %q", at)
	}
	return "syntax error: " + msg
}

// overload says in words that an operator or function does not take what it was given.
func overload(fn, args string) string {
	op := strings.Trim(fn, "_")
	if _, rest, member := strings.Cut(args, ".("); member {
		args = rest // what stands before the dot, which may be hidden, has a type that is right
	}
	args = strings.NewReplacer("(", "", ")", "", "plscript.", "", "google.protobuf.Duration", "duration", "google.protobuf.Timestamp", "timestamp").Replace(args)
	parts := strings.Split(args, ", ")
	if op != fn && len(parts) == 2 {
		return fmt.Sprintf("cannot use %s between %s and %s", op, parts[0], parts[1])
	}
	return fmt.Sprintf("%s does not take (%s)", op, strings.Join(parts, ", "))
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
