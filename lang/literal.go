package lang

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/plscript/plscript/lang/ir"
)

// locator returns a function that places each byte of a string literal's value in the file. content is the whole file
// and offset where the literal starts in it: the bytes as typed, since the parser drops carriage returns. It returns
// nil where the literal is not one that it can follow; callers then place everything at the start of the literal.
func locator(content []byte, offset int, start ir.Pos, want string) func(int) ir.Pos {
	if offset < 0 || offset >= len(content) {
		return nil
	}
	l := literal{src: content[offset:], line: start.Line, col: start.Col}
	if !l.read() || string(l.value) != want {
		return nil
	}
	return func(i int) ir.Pos {
		i = min(max(i, 0), len(l.places)-1)
		at := l.places[i]
		return ir.Pos{File: start.File, Line: at.line, Col: at.col}
	}
}

// literal reads one string literal and notes the place of each byte of its value.
type literal struct {
	src       []byte
	pos       int
	line, col int
	value     []byte
	places    []linecol // one for each byte of value, and one for its end
}

type linecol struct{ line, col int }

func (l *literal) read() bool {
	hashes := l.count('#')
	l.advance(hashes)
	quote := `"`
	if bytes.HasPrefix(l.src[l.pos:], []byte(`"""`)) {
		quote = `"""`
	}
	if !bytes.HasPrefix(l.src[l.pos:], []byte(quote)) {
		return false
	}
	l.advance(len(quote))
	mark := strings.Repeat("#", hashes)
	end, escape := []byte(quote+mark), []byte(`\`+mark)
	if quote == `"""` {
		return l.lines(end, escape)
	}
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case bytes.HasPrefix(rest, end):
			l.note()
			return true
		case bytes.HasPrefix(rest, escape):
			if !l.escape(len(escape)) {
				return false
			}
		default:
			l.copy()
		}
	}
	return false
}

// lines reads the body of a multi-line string: each line without the indentation of the closing quotes.
func (l *literal) lines(end, escape []byte) bool {
	l.skip('\r')
	if l.pos >= len(l.src) || l.src[l.pos] != '\n' {
		return false
	}
	indent, ok := closingIndent(l.src[l.pos:], end)
	if !ok {
		return false
	}
	for first := true; l.pos < len(l.src); first = false {
		// At a line's end: the newline belongs to the value unless the next line closes the string.
		at, from := linecol{l.line, l.col}, l.pos
		l.advance(1)
		line := l.src[l.pos:]
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), end) {
			l.places = append(l.places, at)
			return true
		}
		if !first {
			l.value = append(l.value, l.src[from])
			l.places = append(l.places, at)
		}
		if bytes.HasPrefix(line, indent) {
			l.advance(len(indent))
		}
		for l.pos < len(l.src) && l.src[l.pos] != '\n' {
			switch rest := l.src[l.pos:]; {
			case rest[0] == '\r':
				l.skip('\r')
			case bytes.HasPrefix(rest, escape):
				if !l.escape(len(escape)) {
					return false
				}
			default:
				l.copy()
			}
		}
	}
	return false
}

// closingIndent is the white space before the closing quotes, which every line of the string starts with.
func closingIndent(body, end []byte) ([]byte, bool) {
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if trimmed := bytes.TrimLeft(line, " \t"); bytes.HasPrefix(trimmed, end) {
			return line[:len(line)-len(trimmed)], true
		}
	}
	return nil, false
}

// escape reads an escape sequence, whose value stands at its start.
func (l *literal) escape(prefix int) bool {
	at := linecol{l.line, l.col}
	rest := l.src[l.pos+prefix:]
	if len(rest) == 0 {
		return false
	}
	var char rune
	length := 1
	switch c := rest[0]; c {
	case 'u', 'U':
		length = 5
		if c == 'U' {
			length = 9
		}
		if len(rest) < length {
			return false
		}
		for _, d := range rest[1:length] {
			v := strings.IndexByte("0123456789abcdef", d|0x20)
			if v < 0 {
				return false
			}
			char = char<<4 | rune(v)
		}
	default:
		i := strings.IndexByte(`abfnrtv\/"'`, c)
		if i < 0 {
			return false
		}
		char = rune("\a\b\f\n\r\t\v\\/\"'"[i])
	}
	for _, b := range utf8.AppendRune(nil, char) {
		l.value = append(l.value, b)
		l.places = append(l.places, at)
	}
	l.advance(prefix + length)
	return true
}

// copy takes one byte as it stands.
func (l *literal) copy() {
	l.note()
	l.value = append(l.value, l.src[l.pos])
	l.advance(1)
}

func (l *literal) note() { l.places = append(l.places, linecol{l.line, l.col}) }

func (l *literal) advance(n int) {
	for range n {
		if l.src[l.pos] == '\n' {
			l.line, l.col = l.line+1, 0
		}
		l.pos, l.col = l.pos+1, l.col+1
	}
}

func (l *literal) skip(c byte) {
	for l.pos < len(l.src) && l.src[l.pos] == c {
		l.advance(1)
	}
}

func (l *literal) count(c byte) (n int) {
	for l.pos+n < len(l.src) && l.src[l.pos+n] == c {
		n++
	}
	return n
}
