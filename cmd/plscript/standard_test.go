package main

import "testing"

// TestStandardFunctions: what the reference says of CEL itself is true here.
func TestStandardFunctions(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		`duration("1m30s") > duration("1s")`, `size([1]) == 1 && {"a": 1}.size() == 1`, `1 in [1, 2] && "a" in {"a": 1}`,
		`[1].all(x, x > 0) && [1].exists(x, x > 0) && [1].exists_one(x, x > 0)`, `[1, 2].filter(x, x > 1) == [2]`, `[1].map(x, x + 1) == [2]`,
		`has(changes.endpoint.p99)`, `pods.ready > 0 ? true : false`, `double(pods.ready) / double(pods.desired) > 0.5 && int("1") == 1 && string(1) == "1"`,
		`"a".startsWith("a") && "a".endsWith("a") && "a".contains("a") && "a".matches("a")`,
		`"a".replace("a", "b") == "b" && "a b".split(" ").size() == 2 && "ab".substring(1) == "b" && "A".lowerAscii() == "a" && "a".upperAscii() == "A" && " a".trim() == "a" && "%d".format([1]) == "1"`,
		`lists.range(2) == [0, 1] && [2, 1].sort() == [1, 2] && [1, 1].distinct() == [1] && [1].reverse() == [1] && [1, 2].slice(0, 1) == [1] && [[1]].flatten() == [1]`,
		`math.greatest(1, 2) == 2 && math.least(1, 2) == 1 && math.abs(-1) == 1 && math.ceil(1.5) == 2.0 && math.floor(1.5) == 1.0 && math.round(1.2) == 1.0`,
		`sets.contains([1, 2], [1]) && sets.equivalent([1], [1]) && sets.intersects([1], [1])`,
	} {
		if err := plannable(t, inPhase("{action: \"assert\", expr: #\""+expr+"\"#},")); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}
