package lang

import (
	"os"
	"testing"

	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// Each token of a good file is dropped or replaced in turn. Whatever comes of it is either a complete scenario or
// diagnostics at a place in the file.
func TestBrokenTokens(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/good/tokens.cue")
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range tokens(content) {
		for _, with := range []string{"", "3", "nothing", "{}"} {
			src := string(content[:span.start]) + with + string(content[span.end:])
			s, ds := loadText(src, nil)
			if len(ds) == 0 {
				if err := complete(s); err != nil {
					t.Errorf("%q for %q: %v", with, content[span.start:span.end], err)
				}
			}
			for _, d := range ds {
				if d.Pos.File != "f.cue" || !d.Pos.IsValid() || d.Code == ir.CodeInternal || d.Message == "" {
					t.Errorf("%q for %q: %v", with, content[span.start:span.end], d)
				}
			}
		}
	}
}

type span struct{ start, end int }

func tokens(content []byte) []span {
	var list []span
	var s scanner.Scanner
	s.Init(token.NewFile("", -1, len(content)), content, nil, 0)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return list
		}
		if lit == "" {
			lit = tok.String()
		}
		if lit != "\n" {
			list = append(list, span{pos.Offset(), pos.Offset() + len(lit)})
		}
	}
}
