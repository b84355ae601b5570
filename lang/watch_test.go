package lang

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plscript/plscript/lang/ir"
)

func TestWatchAbandonsAnEndlessLoad(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	ticks := make(chan time.Time, 3)
	began := time.Unix(1000, 0)
	for _, at := range []time.Duration{0, MaxLoadTime, MaxLoadTime + time.Millisecond} {
		ticks <- began.Add(at)
	}
	ds := Watch{Ticks: ticks}.guard("f.cue", func() ir.Diagnostics { <-release; return nil })
	if len(ds) != 1 || ds[0].Code != ir.CodeTooExpensive || ds[0].Pos != start("f.cue") || !strings.Contains(ds[0].Message, "too much time") {
		t.Errorf("got %v", ds)
	}
	if len(ticks) != 0 {
		t.Error("it gave up before the limit")
	}
}

func TestWatchLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		took         time.Duration
		heap, before uint64
		want         string
	}{
		{MaxLoadTime, MaxLoadMemory + 10, 10, ""},
		{MaxLoadTime + 1, 0, 0, "time (more than 5s)"},
		{0, MaxLoadMemory + 11, 10, "memory (more than 512 MiB)"},
		{0, 0, 10, ""},
	} {
		if got := (Watch{}).past(test.took, test.heap, test.before); got != test.want {
			t.Errorf("past(%v, %d, %d) = %q, want %q", test.took, test.heap, test.before, got, test.want)
		}
	}
}

func TestWatchTurnsAPanicIntoADiagnostic(t *testing.T) {
	t.Parallel()
	ds := Watch{}.guard("f.cue", func() ir.Diagnostics { panic("boom") })
	if len(ds) != 1 || ds[0].Code != ir.CodeInternal || !strings.Contains(ds[0].Message, "boom") {
		t.Errorf("got %v", ds)
	}
}

// bombs are small files that CUE would work on without end. They run in a child process, which ends with its diagnostic
// as the command does: the abandoned evaluation dies with it.
var bombs = map[string]string{
	"range": `import "list"
name: "x"
phases: [for i in list.Range(0, 1000000000, 1) {name: "p\(i)", steps: []}]`,
	"doubling": `name: "x"
_a0: "aaaaaaaaaaaaaaaa"
` + doubling(40) + `phases: [{name: "a", steps: [{action: "wait", until: _a40}]}]`,
	"choices": "name: \"x\"\n" + times(30, "_a%d: {a%[1]d: 1} | {b%[1]d: 1}\n") + "_all: _" + times(30, " & _a%d") + "\nphases: []",
	"trees":   "name: \"x\"\n_a0: x: 1\n" + times(30, "_a%[2]d: {l: _a%[1]d, r: _a%[1]d}\n") + "params: _a30\nphases: []",
	"loops":   "name: \"x\"\n_a0: [1, 2]\n" + times(30, "_a%[2]d: [for x in _a%[1]d for y in [0, 1] {x + y}]\n") + "params: l: _a30\nphases: []",
}

// times writes format for each of 0 to n-1; its second argument is one more.
func times(n int, format string) string {
	var b strings.Builder
	for i := range n {
		text := fmt.Sprintf(format, i, i+1)
		text, _, _ = strings.Cut(text, "%!(EXTRA")
		b.WriteString(text)
	}
	return b.String()
}

func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "_a%d: _a%d + _a%d\n", i+1, i, i)
	}
	return b.String()
}

const bombEnv = "PLSCRIPT_TEST_BOMB"

func TestMain(m *testing.M) {
	if name := os.Getenv(bombEnv); name != "" {
		_, ds := Load(Input{FS: fstest.MapFS{"f.cue": {Data: []byte(bombs[name])}}, Path: "f.cue", Watch: Watch{
			Ticks: time.NewTicker(20 * time.Millisecond).C, Time: 400 * time.Millisecond, Memory: 256 << 20,
		}}, testCatalog())
		fmt.Println(ds)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func TestBombsEndInADiagnostic(t *testing.T) {
	t.Parallel()
	for name := range bombs {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), bombEnv+"="+name, "GOTRACEBACK=none")
			out, _ := cmd.Output()
			if cmd.ProcessState.ExitCode() != 2 || !strings.HasPrefix(string(out), "f.cue:1:1: evaluating the file takes too much ") {
				t.Errorf("exit code %d, output:\n%s", cmd.ProcessState.ExitCode(), out)
			}
		})
	}
}
