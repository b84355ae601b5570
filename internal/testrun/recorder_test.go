package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const firstRun = `{"Action":"start","Package":"m/a"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"    a_test.go:3: chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestLater","Output":"    a_test.go:9: needs the sandbox\n"}
{"Action":"output","Package":"m/a","Test":"TestLater","Output":"--- SKIP: TestLater (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestLater"}
{"Action":"output","Package":"m/a","Test":"TestNever","Output":"    a_test.go:12: no gcc\n"}
{"Action":"skip","Package":"m/a","Test":"TestNever"}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.01s\n"}
{"Action":"pass","Package":"m/a"}
{"Action":"output","Package":"m/none","Output":"?   \tm/none\t[no test files]\n"}
{"Action":"skip","Package":"m/none"}
{"ImportPath":"m/b","Action":"build-output","Output":"b.go:1: syntax error\n"}
{"Action":"output","Package":"m/c","Test":"TestBad","Output":"    c_test.go:5: got 1\n"}
{"Action":"fail","Package":"m/c","Test":"TestBad"}
{"Action":"output","Package":"m/c","Output":"FAIL\tm/c\t0.01s\n"}
{"Action":"fail","Package":"m/c"}
go: some complaint
`

func TestRecorder(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newRecorder(&out)
	if err := r.follow(strings.NewReader(firstRun)); err != nil {
		t.Fatal(err)
	}
	want := "ok  \tm/a\t0.01s\nb.go:1: syntax error\n    c_test.go:5: got 1\nFAIL\tm/c\t0.01s\ngo: some complaint\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"m/a.TestLater: a_test.go:9: needs the sandbox", "m/a.TestNever: a_test.go:12: no gcc"}, r.neverMade()); diff != "" {
		t.Errorf("skipped after one run (-want +got):\n%s", diff)
	}
	if err := r.follow(strings.NewReader(`{"Action":"pass","Package":"m/a","Test":"TestLater"}`)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"m/a.TestNever: a_test.go:12: no gcc"}, r.neverMade()); diff != "" {
		t.Errorf("skipped after both runs (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	skipped, passes, err := parse([]string{"-skipped", "race: no gcc", "--", "-short", "./...", "--", "./integration/..."})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"race: no gcc"}, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"-short", "./..."}, {"./integration/..."}}, passes); diff != "" {
		t.Errorf("passes (-want +got):\n%s", diff)
	}
	for _, bad := range [][]string{nil, {"-skipped"}, {"./..."}, {"-skipped", "x"}} {
		if code := run(bad, io.Discard, io.Discard, false); code != 2 {
			t.Errorf("run(%q) = %d, want 2", bad, code)
		}
	}
}

// TestSkippingFailsWhereNobodyReads makes a real run of a package without tests, so that only -skipped matters.
func TestSkippingFailsWhereNobodyReads(t *testing.T) {
	t.Parallel()
	args := []string{"-skipped", "race: no gcc", "--", "../archtest", "-run", "^$"}
	for strict, want := range map[bool]int{false: 0, true: 1} {
		var out strings.Builder
		if code := run(args, &out, io.Discard, strict); code != want || !strings.Contains(out.String(), "skipped: race: no gcc\n") {
			t.Errorf("strict %v: exit %d, want %d:\n%s", strict, code, want, &out)
		}
	}
}
