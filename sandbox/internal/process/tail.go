package process

import (
	"io"
	"os"
	"strings"
)

// tailBytes bounds what Tail reads: enough for the stack of a panic's first goroutine, not for a day's log.
const tailBytes = 16 << 10

// Tail returns up to n last lines of the process's log; none when the log cannot be read.
func (p *Process) Tail(n int) []string {
	file, err := os.Open(p.Log)
	if err != nil {
		return nil
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := file.Seek(-tailBytes, io.SeekEnd); err != nil {
			return nil
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, tailBytes))
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[max(0, len(lines)-n):]
}
