// Command bench measures what plscript promises about its own cost and writes docs/performance.md. It runs the binary
// as a user does and takes CPU and memory from the operating system's account of the finished process.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// part is what is measured together: it yields one or more sections of the page.
type part struct {
	name    string
	measure func(*rig) (string, error)
	long    bool // takes many minutes, or most of a machine: only on request
}

var parts = []part{
	{"commands", commandLine, false},
	{"scenarios", scenarios, false},
	{"mesh", mesh, false},
	{"writer", apiBackend, false},
	{"openloop", openLoop, false},
	{"xds", xds, false},
	{"huge", huge, true},
	{"soak", soak, true},
}

func main() {
	binary := flag.String("plscript", "bin/plscript", "the `binary` to measure")
	out := flag.String("out", "docs/performance.md", "the `file` to write: the sections that are measured take the place of those of that title")
	runs := flag.Int("n", 5, "counted `runs` of each command, after one that is not counted")
	only := flag.String("only", "", "the `parts` to measure, with commas: commands, scenarios, mesh, writer, openloop, xds, huge, soak; all but the last two unless given")
	var other peer
	flag.StringVar(&other.binary, "peer-bin", "", "another load tool's `binary`, to run beside the XDS pool")
	flag.StringVar(&other.args, "peer-args", "", "its `arguments`, with ADDRESS and COUNT where they go; those of \"adsc\" unless given")
	flag.Parse()
	if err := bench(*binary, *out, *runs, *only, other); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(binary, out string, runs int, only string, other peer) error {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "plscript-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	measured, err := commit(out)
	if err != nil {
		return fmt.Errorf("which commit is this: %w", err)
	}
	r := &rig{binary: binary, dir: dir, runs: runs, peer: other}
	for _, p := range chosen {
		before := loop()
		text, err := p.measure(r)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		stamp := fmt.Sprintf("\n_Commit %s, %s; the loop took %d ms before and %d ms after._\n", measured,
			time.Now().UTC().Format(time.DateOnly), before.Milliseconds(), loop().Milliseconds())
		fmt.Fprint(os.Stderr, text, stamp)
		if err := update(out, text, stamp); err != nil {
			return err
		}
	}
	return nil
}

// commit is what is measured, "-dirty" if files are not as in it. The page itself does not count: it is being written.
func commit(page string) (string, error) {
	name, err := exec.Command("git", "describe", "--always").Output()
	if err != nil {
		return "", err
	}
	status := []string{"status", "--porcelain", "--untracked-files=no", "--", "."}
	if filepath.IsLocal(page) { // git knows of no others
		status = append(status, ":(exclude)"+page)
	}
	changed, err := exec.Command("git", status...).Output()
	if err != nil {
		return "", err
	}
	if len(changed) > 0 {
		return strings.TrimSpace(string(name)) + "-dirty", nil
	}
	return strings.TrimSpace(string(name)), nil
}

// choose returns the parts of that name, in the order of the page.
func choose(only string) (chosen []part, err error) {
	if only == "" {
		return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.long }), nil
	}
	want := strings.Split(only, ",")
	for _, p := range parts {
		if slices.Contains(want, p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) != len(want) {
		return nil, fmt.Errorf("-only %s: not all of these are parts", only)
	}
	return chosen, nil
}

// update writes the sections of text into the page, as soon as they are measured: a later part may fail.
func update(file, text, stamp string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p := parse(string(old))
	p.head = head
	for _, s := range parse(text).sections {
		s.text = strings.TrimRight(s.text, "\n") + "\n" + stamp
		p.set(s)
	}
	return os.WriteFile(file, []byte(p.String()), 0o644)
}
