package ir

// Nearest returns the candidate that is nearest to what was typed, or "" if none is near: a third of its letters may be
// wrong, swapped, missing or too many. Of two equally near, the first in the
// alphabet wins, so that the answer does not depend on their order.
func Nearest(typed string, candidates []string) string {
	best, bestDistance := "", max(1, (len(typed)+1)/3)+1
	if len(typed) > 64 {
		return ""
	}
	for _, c := range candidates {
		if c == typed || len(c) > 64 {
			continue
		}
		if d := distance(fold(typed), fold(c)); d < bestDistance || d == bestDistance && best != "" && c < best {
			best, bestDistance = c, d
		}
	}
	return best
}

// fold makes names that differ in case, "-" and "_" alone equal.
func fold(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-' || c == '_':
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// distance is the number of letters to insert, drop, replace or swap with the next one to make a into b.
func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, row = prev, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
