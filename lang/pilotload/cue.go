package pilotload

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"
)

// lineWidth is how long a struct or list may be to stand in one line.
const lineWidth = 90

var plainLabel = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// keywords are words that a label may not always be, or that read badly as one.
var keywords = map[string]bool{
	"package": true, "import": true, "for": true, "in": true, "if": true, "let": true, "try": true, "else": true, "func": true,
	"true": true, "false": true, "null": true, "otherwise": true, "fallback": true, "div": true, "mod": true, "quo": true, "rem": true,
}

// label is a field's name in CUE. Names that the file refers to are quoted: a quoted label hides none of them.
func label(s string) string {
	if plainLabel.MatchString(s) && !keywords[s] && s != "params" && s != "schema" && s != "nodeMetadata" {
		return s
	}
	return literal.Label.Quote(s)
}

// text is a string in CUE, in several lines if it has any.
func text(s string) string { return literal.String.WithOptionalTabIndent(1).Quote(s) }

// cueValue is a value of an object template in CUE.
func cueValue(t tree) string {
	switch t := t.(type) {
	case mapping:
		parts := make([]string, len(t))
		for i, e := range t {
			parts[i] = cueField(e.key, e.tree)
		}
		return enclose("{", parts, "}")
	case sequence:
		parts := make([]string, len(t))
		for i, e := range t {
			parts[i] = cueValue(e)
		}
		return enclose("[", parts, "]")
	case leaf:
		return cueLeaf(t)
	}
	return text("${" + t.cel() + "}")
}

func cueLeaf(l leaf) string {
	switch v := l.v.(type) {
	case string:
		return text(withHoles(v, l.quoted))
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	case nil:
		return "null"
	}
	return fmt.Sprint(l.v)
}

// cueField is a field in CUE; a struct of one field needs no braces.
func cueField(key string, t tree) string {
	if m, ok := t.(mapping); ok && len(m) == 1 {
		return label(key) + ": " + cueField(m[0].key, m[0].tree)
	}
	return label(key) + ": " + cueValue(t)
}

// enclose joins parts in one line, or in one line each.
func enclose(open string, parts []string, end string) string {
	line := open + strings.Join(parts, ", ") + end
	if len(line) <= lineWidth && !strings.Contains(line, "\n") {
		return line
	}
	sep := "\n"
	if open == "[" {
		sep = ",\n"
	}
	return open + "\n" + strings.Join(parts, sep) + sep + end
}

// tidy formats a file, and indents the strings of several lines as their surroundings are, which the formatter does not.
func tidy(source string) ([]byte, error) {
	b, err := format.Source([]byte(source))
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	file, err := parser.ParseFile("", b, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse what was formatted: %w", err)
	}
	var out bytes.Buffer
	at := 0
	ast.Walk(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || !strings.HasPrefix(lit.Value, `"""`) {
			return true
		}
		from := lit.Pos().Offset()
		line := b[bytes.LastIndexByte(b[:from], '\n')+1 : from]
		tabs := len(line) - len(bytes.TrimLeft(line, "\t"))
		out.Write(b[at:from])
		out.WriteString(literal.IndentTabs(lit.Value, tabs+1))
		at = from + len(lit.Value)
		return true
	}, nil)
	out.Write(b[at:])
	return out.Bytes(), nil
}

// tokens counts the words and signs of a file, up to just above the limit.
func tokens(source []byte) int {
	var s scanner.Scanner
	s.Init(token.NewFile("", -1, len(source)), source, nil, 0)
	for n := 0; ; n++ {
		if _, tok, _ := s.Scan(); tok == token.EOF || n > maxScenarioTokens {
			return n
		}
	}
}

// comment makes comment lines of a text.
func comment(s string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		line = strings.Map(func(r rune) rune {
			if r == '\t' || unicode.IsPrint(r) {
				return r
			}
			return '?'
		}, line)
		b.WriteString(strings.TrimRight("// "+line, " \t") + "\n")
	}
	return b.String()
}
