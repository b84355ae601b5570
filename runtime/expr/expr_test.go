package expr

import (
	"context"
	"errors"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"
)

func testEnv(t *testing.T) *Env {
	t.Helper()
	values := func(name string) func(any) (any, error) {
		return func(v any) (any, error) {
			x, ok := v.(map[string]any)[name]
			if !ok {
				return nil, ErrNoData
			}
			return x, nil
		}
	}
	side := &Object{Name: "plscript.xds.sidecar", Fields: []ObjectField{{Name: "open", Type: cel.IntType, Get: values("xds.sidecar.open")}}}
	xds := &Object{Name: "plscript.xds", Fields: []ObjectField{
		{Name: "synced", Type: cel.IntType, Get: values("xds.synced")},
		{Name: "desired", Type: cel.IntType, Get: values("xds.desired")},
		{Name: "p99", Type: cel.DurationType, Get: values("xds.p99")},
		{Name: "sidecar", Type: side.Type(), Get: func(v any) (any, error) { return side.Value(v), nil }},
	}}
	env, err := New([]Var{{Name: "xds", Type: xds.Type()}}, []*Object{xds, side}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func TestEval(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	xds, _ := env.Object("plscript.xds")
	for _, tc := range []struct {
		text   string
		values map[string]any
		want   bool
		noData bool
	}{
		{"xds.synced == xds.desired", map[string]any{"xds.synced": int64(3), "xds.desired": int64(3)}, true, false},
		{"xds.synced == xds.desired", map[string]any{"xds.synced": int64(2), "xds.desired": int64(3)}, false, false},
		{"xds.synced == xds.desired", map[string]any{"xds.synced": int64(2)}, false, true},
		{"xds.p99 < duration('1s')", nil, false, true},
		{"has(xds.p99) && xds.p99 < duration('1s')", nil, false, false},
		{"!has(xds.p99)", nil, true, false},
		{"xds.sidecar.open > 1.5", map[string]any{"xds.sidecar.open": int64(2)}, true, false},
		{"xds.sidecar.open > 1", nil, false, true},
		{"true || xds.synced > 1", nil, true, false},
	} {
		p, problems := env.Compile(tc.text, cel.BoolType)
		if problems != nil {
			t.Fatalf("%s: %v", tc.text, problems)
		}
		got, err := p.True(context.Background(), map[string]any{"xds": xds.Value(tc.values)})
		if got != tc.want || errors.Is(err, ErrNoData) != tc.noData || !tc.noData && err != nil {
			t.Errorf("%s with %v = %v, %v", tc.text, tc.values, got, err)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	for text, want := range map[string][]Problem{
		"xdss.synced > 1":               {{0, `unknown name "xdss"`, "xds"}},
		"xds.sinced > 1":                {{4, `unknown field "sinced"`, "synced"}},
		"1 == 1 &&\n  xds.sinced > 1":   {{16, `unknown field "sinced"`, "synced"}},
		"xds.synced > 'a'":              {{11, "cannot use > between int and string", ""}},
		"xds.synced":                    {{0, "must be a bool, and is an int", ""}},
		"xds.sidecar":                   {{0, "must be a bool, and is a group of values", ""}},
		"namespace == 'x'":              {{0, `"namespace" is a reserved word of CEL and no name`, ""}},
		"xds.synced > 1 && xdss == 2":   {{18, `unknown name "xdss"`, "xds"}},
		"xds.p99 < duration('1 hour')":  {{19, "this is no duration, like '300ms' or '1h30m'", ""}},
		"xds.synced >":                  {{12, "the expression ends too early", ""}},
		"xds.synced = 1":                {{11, `syntax error at "=": to compare, write "=="`, ""}},
		"xds.synced > 1)":               {{14, `syntax error at ")"`, ""}},
		"xds.synced > 1 && xds.p99 > 1": {{26, "cannot use > between duration and int", ""}},
	} {
		_, got := env.Compile(text, cel.BoolType)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	p, problems := testEnv(t).Compile("xds.synced == xds.desired && has(xds.sidecar.open) && xds.synced > 1", cel.BoolType)
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]string{"xds.synced", "xds.desired", "xds.sidecar.open"}, p.Reads()); diff != "" {
		t.Error(diff)
	}
}
