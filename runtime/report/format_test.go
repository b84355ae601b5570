package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0", 300: "1µs", 85 * time.Microsecond: "85µs", 1500 * time.Microsecond: "1.5ms", 312 * time.Millisecond: "312ms",
		4999 * time.Millisecond: "4.9s", 59990 * time.Millisecond: "59.9s", 65 * time.Second: "1m05s", 3725 * time.Second: "1h02m", -time.Second: "-1.0s",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%d) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_940: "9.9 kB", 999_600: "1.0 MB", 312_000_000: "312 MB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "00:00", 75 * time.Second: "01:15", 3725 * time.Second: "1:02:05"} {
		if got := clockTime(d); got != want {
			t.Errorf("clockTime(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestCleanClipWrap(t *testing.T) {
	t.Parallel()
	if got, want := clean("a\x1b[2Jb\tc\r\nd\u202e"), "a�[2Jb c\nd�"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
	if got := clip("日本語テキスト", 6); got != "日本…" || cells(got) > 6 {
		t.Errorf("clip = %q of %d columns", got, cells(got))
	}
	if got := clip("exact", 5); got != "exact" {
		t.Errorf("clip = %q", got)
	}
	want := []string{"one two", "three", "abcdefgh", "ij x", "", "y"}
	if diff := cmp.Diff(want, wrap("one two three abcdefghij x\n\ny", 8)); diff != "" {
		t.Errorf("wrap (-want +got):\n%s", diff)
	}
	if got := wrap("日本", 1); strings.Join(got, "") != "日本" {
		t.Errorf("wrap loses text narrower than a character: %q", got)
	}
}

// FuzzWrap checks that no text is lost and no line is too long, whatever the text.
func FuzzWrap(f *testing.F) {
	f.Add("one two three", 5)
	f.Add("日本語 テキスト\x00\xff", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		s = strings.ToValidUTF8(s, "?")
		lines := wrap(s, n)
		if got, want := strings.Join(strings.Fields(strings.Join(lines, " ")), ""), strings.Join(strings.Fields(s), ""); got != want {
			t.Errorf("wrap(%q, %d) lost text: %q", s, n, got)
		}
		for _, l := range lines {
			if n >= 2 && cells(l) > n {
				t.Errorf("wrap(%q, %d): %q has %d columns", s, n, l, cells(l))
			}
		}
	})
}
