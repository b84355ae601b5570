package report

import (
	"strings"
	"testing"
)

func textOf(t *testing.T, r *Report, opt TextOptions) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextGoldens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		in   Input
		opt  TextOptions
	}{
		{"passed.txt", passedInput(), TextOptions{Where: "results/ambient-7k2m9x"}},
		{"passed_color.txt", passedInput(), TextOptions{Color: true}},
		{"failed.txt", failedInput(), TextOptions{Where: "results/ambient-7k2m9x"}},
		{"failed_narrow.txt", failedInput(), TextOptions{Width: 60}},
	} {
		golden(t, tc.name, textOf(t, Build(tc.in), tc.opt))
	}
}

func TestTextStaysWithinItsWidthAndSaysTheResultLast(t *testing.T) {
	t.Parallel()
	for _, in := range []Input{passedInput(), failedInput()} {
		r := Build(in)
		lines := strings.Split(strings.TrimSuffix(textOf(t, r, TextOptions{Where: "results/x"}), "\n"), "\n")
		for _, l := range lines {
			if cells(l) > 100 {
				t.Errorf("%d columns: %s", cells(l), l)
			}
			if strings.HasSuffix(l, " ") {
				t.Errorf("ends in a space: %q", l)
			}
			if strings.ContainsAny(l, "\x1b\r\x07") {
				t.Errorf("a control character got through: %q", l)
			}
		}
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, string(r.Verdict.Result)) {
			t.Errorf("the last line is %q", last)
		}
	}
}
