package expr

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	env, err := New([]Var{{Name: "index", Type: cel.IntType}, {Name: "name", Type: cel.StringType}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"host":"${name}.example.com","port":"${index + 80}"}`: `{"host":"a.example.com","port":83}`,
		`["$${name}", "x${index}y${name}z", 1.5, true, null]`:   `["${name}","x3yaz",1.5,true,null]`,
		`{"m":"${ {'a': index, 'b': ['}']} }"}`:                 `{"m":{"a":3,"b":["}"]}}`,
		`{"b":"${index > 2}","d":"${0.5}"}`:                     `{"b":true,"d":0.5}`,
	} {
		var tree any
		if err := json.Unmarshal([]byte(in), &tree); err != nil {
			t.Fatal(err)
		}
		tpl, problems := env.CompileTemplate(tree)
		if problems != nil {
			t.Fatalf("%s: %v", in, problems)
		}
		got, err := tpl.Render(context.Background(), map[string]any{"index": int64(3), "name": "a"})
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != want {
			t.Errorf("%s renders as %s, want %s", in, out, want)
		}
	}
}

func TestTemplateProblems(t *testing.T) {
	t.Parallel()
	env, err := New([]Var{{Name: "index", Type: cel.IntType}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, got := env.CompileTemplate(map[string]any{
		"a": "x${indx}", "b": []any{"${", "${index + 'a'}"},
	})
	want := []TemplateProblem{
		{"a", Problem{3, `unknown name "indx"`, "index"}},
		{"b[0]", Problem{0, `"${" is never closed: write "$${" for the characters themselves`, ""}},
		{"b[1]", Problem{8, "cannot use + between int and string", ""}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzHoles(f *testing.F) {
	f.Add("a${b}c$${d}${ {'}': \"}\"} }")
	f.Add("${'\\")
	f.Fuzz(func(t *testing.T, s string) {
		holes, problem := Holes(s)
		if problem != nil {
			return
		}
		at := 0
		for _, h := range holes {
			if h.Start < at || h.End > len(s) || s[h.Start:h.Start+2] != "${" || s[h.End-1] != '}' || s[h.Start+2:h.End-1] != h.Text {
				t.Fatalf("%q: bad hole %+v", s, h)
			}
			at = h.End
		}
	})
}
