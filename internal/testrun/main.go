// Command testrun runs `go test` once or more and sums the runs up as one, so that a test which one run leaves out and
// another makes counts as made, and one that none makes is not overlooked.
//
//	testrun [-skipped WHAT]... -- ARGS [-- ARGS]...
//
// Each list of ARGS is one run of `go test`. The output is that of `go test` without -v. Tests that were skipped in every
// run are listed with their reason at the end, together with what -skipped names; with CI=true in the environment they
// make the whole a failure, because there nobody reads a list.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, os.Getenv("CI") == "true"))
}

// run returns the exit code: 0 passed, 1 failed, 2 bad usage.
func run(args []string, stdout, stderr io.Writer, strict bool) int {
	skipped, passes, err := parse(args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "testrun:", err)
		return 2
	}
	started := time.Now()
	rec := newRecorder(stdout)
	failed := false
	for _, pass := range passes {
		if err := goTest(rec, stderr, pass); err != nil {
			_, _ = fmt.Fprintf(stderr, "go test %s: %v\n", strings.Join(pass, " "), err)
			failed = true
		}
	}
	skipped = append(skipped, rec.neverMade()...)
	for _, s := range skipped {
		_, _ = fmt.Fprintln(stdout, "skipped:", s)
	}
	if failed || (strict && len(skipped) > 0) {
		_, _ = fmt.Fprintf(stdout, "FAIL\tall packages\t%.3fs\n", time.Since(started).Seconds())
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "ok  \tall packages\t%.3fs\t[%d tests, %d skipped]\n", time.Since(started).Seconds(), len(rec.made), len(skipped))
	return 0
}

// parse splits the arguments at each "--".
func parse(args []string) (skipped []string, passes [][]string, err error) {
	for len(args) > 0 && args[0] != "--" {
		if args[0] != "-skipped" || len(args) < 2 {
			return nil, nil, fmt.Errorf("unexpected %q: want [-skipped WHAT]... -- ARGS [-- ARGS]... in its place", args[0])
		}
		skipped, args = append(skipped, args[1]), args[2:]
	}
	for len(args) > 0 {
		end := slices.Index(args[1:], "--") + 1
		if end == 0 {
			end = len(args)
		}
		passes, args = append(passes, args[1:end]), args[end:]
	}
	if len(passes) == 0 {
		return nil, nil, fmt.Errorf("no run given: want -- ARGS")
	}
	return skipped, passes, nil
}

// goTest makes one run and lets rec follow it. The error is that of the command or of what it printed.
func goTest(rec *recorder, stderr io.Writer, args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := rec.follow(out)
	if err := cmd.Wait(); err != nil {
		return err
	}
	return readErr
}
