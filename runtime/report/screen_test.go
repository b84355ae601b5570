package report

import (
	"strconv"
	"strings"
)

// screen is as much of a terminal as the live view uses: enough to see what a user is left with.
type screen struct {
	width  int
	rows   [][]rune
	x, y   int
	cursor bool
}

func newScreen(width int) *screen { return &screen{width: width, cursor: true, rows: [][]rune{nil}} }

func (s *screen) write(text string) {
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			end := strings.IndexAny(rest, "ABCDEFGHJKhlm")
			s.control(rest[:end], rest[end])
			text = rest[end+1:]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			s.x = 0
		case '\n':
			s.down()
		default:
			if s.x == s.width {
				s.down()
			}
			row := s.rows[s.y]
			for len(row) <= s.x {
				row = append(row, ' ')
			}
			row[s.x] = r
			s.rows[s.y] = row
			s.x++
		}
	}
}

func (s *screen) down() {
	s.x = 0
	if s.y++; s.y == len(s.rows) {
		s.rows = append(s.rows, nil)
	}
}

func (s *screen) control(arg string, op byte) {
	switch {
	case op == 'A':
		n, _ := strconv.Atoi(arg)
		s.y -= n
	case op == 'K':
		s.rows[s.y] = s.rows[s.y][:min(s.x, len(s.rows[s.y]))]
	case op == 'J':
		s.rows = s.rows[:s.y+1]
		s.rows[s.y] = s.rows[s.y][:min(s.x, len(s.rows[s.y]))]
	case arg == "?25":
		s.cursor = op == 'h'
	}
}

func (s *screen) lines() []string {
	var out []string
	for _, r := range s.rows {
		out = append(out, strings.TrimRight(string(r), " "))
	}
	return out
}

func (s *screen) String() string { return strings.Join(s.lines(), "\n") }
