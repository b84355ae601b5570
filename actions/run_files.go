package actions

import (
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// stepFile names what a step leaves in the run's folder: its name, with what no file system minds, and its place in the
// scenario, which tells it from any other step: "dump-1-0".
func stepFile(s *ir.Step) string {
	var b strings.Builder
	for _, r := range s.Name[:min(len(s.Name), 80)] {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	for _, n := range strings.FieldsFunc(s.Path, func(r rune) bool { return r < '0' || r > '9' }) {
		b.WriteString("-" + n)
	}
	return strings.TrimLeft(b.String(), "-")
}
