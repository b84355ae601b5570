package ir

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"rate", "rates", "duration", "arrivals", "onError", "maxPending", "for"}
	for typed, want := range map[string]string{
		"rat": "rate", "ratee": "rate", "raet": "rate", "RATE": "rate", "durration": "duration", "arrival": "arrivals",
		"onerror": "onError", "on_error": "onError", "max-pending": "maxPending", "fro": "for",
		"colour": "", "x": "", "": "", "rate": "rates",
	} {
		if got := Nearest(typed, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"abc", "axc", 1}, {"abcd", "acbd", 1}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
