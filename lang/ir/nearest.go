package ir

// Nearest returns the name among names that word was most likely meant to be, or "" if none is close: at most a third
// of the letters, and at least one, may differ. Swapped neighbours count once.
func Nearest(word string, names []string) string {
	best, bestDist := "", len(word)/3+1
	for _, n := range names {
		if d := distance(word, n); d < bestDist || d == bestDist && n < best {
			best, bestDist = n, d
		}
	}
	if best == word {
		return ""
	}
	return best
}

// distance is the optimal string alignment distance.
func distance(a, b string) int {
	prev2, prev, cur := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, make([]int, len(b)+1)
	}
	return prev[len(b)]
}
