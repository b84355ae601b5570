package runtime

import (
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/plscript/plscript/runtime/expr"
)

// Vocabulary is what one kind of expression can read and call, for documentation.
type Vocabulary struct {
	Name      string // "conditions"
	Doc       string // where such expressions stand
	Values    []Term
	Functions []Term
}

// Term is one value or function of a [Vocabulary].
type Term struct {
	Name string // "xds.sidecar.synced", or a call: "rand(int)"
	Type string // of the value, or what the function returns
	Doc  string
}

// Describe lists the vocabularies of the language: those of conditions, of selectors, and of the holes in templates.
func (l *Language) Describe() []Vocabulary {
	return []Vocabulary{
		describe("conditions", "`until`, `when` and `expr`. A value that nothing has set is absent, not zero: a condition that needs one has no data, unless it asks with has(). One that could take long is refused.", l.conditions),
		describe("selectors", "`select`: true for what is meant. What a scope does not have, such as the pod of an app, cannot be read.", l.selectors),
		describe("holes", "`${...}` in the strings of object templates. A string that is one hole keeps the type of its value.", l.templates),
	}
}

func describe(name, doc string, env *expr.Env) Vocabulary {
	v := Vocabulary{Name: name, Doc: doc}
	owners := map[string]string{} // the variable of each struct type
	for _, x := range env.Vars() {
		if strings.HasPrefix(x.Name, "__") {
			continue
		}
		owners[x.Type.String()] = x.Name
		v.Values = append(v.Values, terms(env, x.Name, x.Doc, x.Type)...)
	}
	for _, f := range env.Funcs() {
		call, args := f.Name, f.Args
		if f.Member {
			owner := owners[args[0].String()]
			if owner == "" {
				owner = typeWord(args[0])
			}
			call = owner + "." + call
		}
		if f.Member || f.Hidden != "" {
			args = args[1:]
		}
		words := make([]string, len(args))
		for i, a := range args {
			words[i] = typeWord(a)
		}
		v.Functions = append(v.Functions, Term{Name: call + "(" + strings.Join(words, ", ") + ")", Type: typeWord(f.Result), Doc: f.Doc})
	}
	slices.SortStableFunc(v.Functions, func(a, b Term) int { return strings.Compare(a.Name, b.Name) })
	return v
}

// terms lists a value, or the fields of one that is a struct.
func terms(env *expr.Env, path, doc string, t *cel.Type) []Term {
	o, ok := env.Object(t.TypeName())
	if !ok || len(o.Fields) == 0 {
		return []Term{{Name: path, Type: typeWord(t), Doc: doc}}
	}
	var list []Term
	for _, f := range o.Fields {
		list = append(list, terms(env, path+"."+f.Name, f.Doc, f.Type)...)
	}
	return list
}

// typeWord names a type without CEL's well-known types' packages.
func typeWord(t *cel.Type) string {
	switch t.Kind() {
	case types.DurationKind:
		return "duration"
	case types.TimestampKind:
		return "timestamp"
	}
	return strings.NewReplacer("<", "", ">", "", "plscript.", "").Replace(t.String()) // of type parameters
}
