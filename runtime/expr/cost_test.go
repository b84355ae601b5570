package expr

import (
	"errors"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// TestEvaluationEnds: what passes by the guessed sizes is stopped if there is far more than they say.
func TestEvaluationEnds(t *testing.T) {
	t.Parallel()
	numbers := make([]int64, 2000)
	env, err := New(nil, nil, []Func{{
		Name: "numbers", Args: []*cel.Type{cel.IntType}, Result: cel.ListType(cel.IntType), Size: 1000,
		Call: func(args ...ref.Val) ref.Val {
			return types.DefaultTypeAdapter.NativeToValue(numbers[:args[0].(types.Int)])
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	env.patience = 1 // ns: over before it begins
	for text, stopped := range map[string]bool{
		"numbers(2000).all(a, a == 0)":                           false, // too cheap to be watched
		"numbers(2000).all(a, numbers(2000).all(b, a + b == 0))": true,
	} {
		p, problems := env.Compile(text, cel.BoolType)
		if problems != nil {
			t.Fatal(problems)
		}
		ok, err := p.True(t.Context(), map[string]any{})
		if errors.Is(err, errTooLong) != stopped || ok == stopped {
			t.Errorf("%s = %v, %v", text, ok, err)
		}
	}
}
