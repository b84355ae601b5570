package main

import (
	"os"

	"golang.org/x/term"
)

// color reports whether a stream that is a terminal may be coloured: https://no-color.org.
func (s *system) color(tty bool) bool {
	return tty && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb"
}

// terminalWidth is the width of the terminal in columns, 0 if there is none.
func terminalWidth() int {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			return w
		}
	}
	return 0
}
