package lang

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// What a file may cost before it is parsed. CUE bounds neither the size of a file nor the depth of chains such as
// a: a: a: ..., on which its resolver overflows the stack, which no recover can catch.
const (
	maxFileBytes = 1 << 20
	maxTokens    = 100_000
	maxPending   = 4_000 // tokens of enclosing expressions at any place, an upper bound of the syntax tree's depth
)

// scan counts tokens without building a tree, and returns a diagnostic if src is past a limit.
func scan(name string, src []byte) *ir.Diagnostic {
	if len(src) > maxFileBytes {
		return &ir.Diagnostic{Pos: start(name), Code: ir.CodeUnreadable,
			Message: fmt.Sprintf("the file is too large: %d bytes, above the limit of %d", len(src), maxFileBytes)}
	}
	if i := strings.IndexByte(string(src), 0); i >= 0 {
		return &ir.Diagnostic{Pos: start(name), Code: ir.CodeUnreadable,
			Message: "this is not a text file: it contains NUL bytes"}
	}
	file := token.NewFile(name, -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	d := depth{}
	for n := 0; ; n++ {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return nil
		}
		if d.next(tok, lit) && s.ErrorCount == 0 {
			d.opening = strings.HasSuffix(s.ResumeInterpolation(), "(")
		}
		if n > maxTokens {
			return &ir.Diagnostic{Pos: place(pos), Code: ir.CodeTooExpensive,
				Message: fmt.Sprintf("the file is too long: more than %d words and signs", maxTokens)}
		}
		if d.pending > maxPending {
			return &ir.Diagnostic{Pos: place(pos), Code: ir.CodeTooExpensive,
				Message: "nested too deeply, or one expression is too long"}
		}
	}
}

// depth follows brackets and commas, so as to know how many tokens are still open at a place.
type depth struct {
	pending int
	levels  []level
	opening bool // the next parenthesis opens an expression inside a string
}

type level struct {
	tokens        int // since the last comma
	interpolation bool
}

// next takes one token and reports whether it ends an expression inside a string, after which the scanner must be told
// to go on with the string.
func (d *depth) next(tok token.Token, lit string) (resume bool) {
	switch tok {
	case token.LPAREN, token.LBRACK, token.LBRACE:
		d.add()
		d.levels = append(d.levels, level{interpolation: d.opening})
		d.opening = false
	case token.RPAREN, token.RBRACK, token.RBRACE:
		return d.pop()
	case token.INTERPOLATION:
		d.add()
		d.opening = strings.HasSuffix(lit, "(")
	case token.COMMA:
		if n := len(d.levels); n > 0 {
			d.pending -= d.levels[n-1].tokens
			d.levels[n-1].tokens = 0
		} else {
			d.pending = 0
		}
	default:
		d.add()
	}
	return false
}

func (d *depth) add() {
	d.pending++
	if n := len(d.levels); n > 0 {
		d.levels[n-1].tokens++
	}
}

func (d *depth) pop() (interpolation bool) {
	n := len(d.levels)
	if n == 0 {
		return false
	}
	l := d.levels[n-1]
	d.levels = d.levels[:n-1]
	d.pending -= l.tokens
	return l.interpolation
}

func start(name string) ir.Pos { return ir.Pos{File: name, Line: 1, Col: 1} }

// place turns CUE's position into ours. Both count columns in bytes from 1.
func place(p token.Pos) ir.Pos {
	if !p.IsValid() {
		return ir.Pos{}
	}
	at := p.Position()
	return ir.Pos{File: at.Filename, Line: at.Line, Col: at.Column}
}
