package capture

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// chunk is the YAML of one document, or of one item of a document's top-level list.
type chunk struct {
	text    []byte
	line    int  // where it begins in the file, from 1
	tooLong bool // more than [maxObjectBytes]; text is cut off
}

// splitter takes YAML apart by its lines, so that a List of a whole cluster is never in memory at once. In block style a
// line that begins at the column of a list's dash, or left of it, cannot belong to the item before: scalars of several
// lines are indented further.
type splitter struct {
	in   *bufio.Reader
	line int // that was read last

	state  splitState
	indent int // of the dashes of items
	cur    chunk
	ready  []chunk
}

type splitState int

const (
	inDocument splitState = iota
	beforeItems
	inItems
	afterItems // kubectl writes kind and metadata behind the items
)

// next returns the next chunk, or io.EOF.
func (s *splitter) next() (chunk, error) {
	for len(s.ready) == 0 {
		line, long, err := s.readLine()
		if len(line) > 0 {
			s.line++
			s.take(line, long)
		}
		if errors.Is(err, io.EOF) {
			s.flush()
			if len(s.ready) == 0 {
				return chunk{}, io.EOF
			}
			break
		}
		if err != nil {
			return chunk{}, err
		}
	}
	out := s.ready[0]
	s.ready = s.ready[1:]
	return out, nil
}

// readLine returns a line with its end, and whether it was too long to be kept whole.
func (s *splitter) readLine() (line []byte, long bool, err error) {
	for {
		part, err := s.in.ReadSlice('\n')
		if len(line)+len(part) <= maxObjectBytes {
			line = append(line, part...)
		} else {
			long = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

// take puts a line where it belongs.
func (s *splitter) take(line []byte, long bool) {
	text := bytes.TrimRight(line, " \t\r\n")
	if rest, ok := documentMark(text); ok {
		s.flush()
		s.state = inDocument
		if len(rest) == 0 {
			return
		}
		line, text = append(rest, '\n'), rest
	}
	switch s.state {
	case inDocument:
		if isItems(text) {
			s.state, s.cur = beforeItems, chunk{}
			return
		}
		s.add(line, long)
	case beforeItems:
		s.firstItem(line, text, long)
	case inItems:
		s.item(line, text, long)
	case afterItems:
	}
}

// documentMark reports whether a line begins or ends a document, and returns what follows on it.
func documentMark(text []byte) (rest []byte, ok bool) {
	if bytes.Equal(text, []byte("...")) {
		return nil, true
	}
	rest, ok = bytes.CutPrefix(text, []byte("---"))
	if !ok || len(rest) > 0 && rest[0] != ' ' && rest[0] != '\t' {
		return nil, false
	}
	if rest = bytes.TrimSpace(rest); bytes.HasPrefix(rest, []byte("#")) {
		rest = nil
	}
	return bytes.Clone(rest), true
}

// isItems reports whether a line is the key of a top-level list in block style.
func isItems(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte("items:"))
	rest = bytes.TrimSpace(rest)
	return ok && (len(rest) == 0 || rest[0] == '#')
}

func (s *splitter) firstItem(line, text []byte, long bool) {
	trimmed := bytes.TrimLeft(text, " ")
	switch {
	case len(trimmed) == 0 || trimmed[0] == '#':
	case isDash(trimmed):
		s.state, s.indent = inItems, len(text)-len(trimmed)
		s.add(line, long)
	default: // there are none
		s.state = afterItems
	}
}

func (s *splitter) item(line, text []byte, long bool) {
	trimmed := bytes.TrimLeft(text, " ")
	indent := len(text) - len(trimmed)
	switch {
	case len(trimmed) == 0 || indent > s.indent:
		s.add(line, long)
	case indent == s.indent && isDash(trimmed):
		s.flush()
		s.add(line, long)
	case trimmed[0] == '#':
		s.add(line, long)
	default:
		s.flush()
		s.state = afterItems
	}
}

func isDash(text []byte) bool {
	return text[0] == '-' && (len(text) == 1 || text[1] == ' ' || text[1] == '\t')
}

func (s *splitter) add(line []byte, long bool) {
	if len(s.cur.text) == 0 && !s.cur.tooLong {
		if len(bytes.TrimSpace(line)) == 0 {
			return
		}
		s.cur.line = s.line
	}
	if long || len(s.cur.text)+len(line) > maxObjectBytes {
		s.cur.tooLong = true
	}
	if !s.cur.tooLong {
		s.cur.text = append(s.cur.text, line...)
	}
}

func (s *splitter) flush() {
	if len(s.cur.text) > 0 || s.cur.tooLong {
		s.ready = append(s.ready, s.cur)
	}
	s.cur = chunk{}
}
