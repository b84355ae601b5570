package lang

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, `name: "x"
_minutes: 5
params: {
	count: *10 | int & >0 @tag(count, type=int)
	rate:  *"5/s" | string @tag(rate)
	on:    *true | bool @tag(on, type=bool)
}
phases: [{name: "a", steps: [{action: "sleep", for: "1s"}]}]
matrix: [
	{size: "small", params: {count: 1, on: false}, minutes: _minutes},
	{size: "large", params: {count: 100, rate: "50/s"}, minutes: 6 * _minutes},
	{size: "as-is", minutes: 10},
]`)
	want := []ir.Size{
		{Name: "small", Params: map[string]string{"count": "1", "on": "false"}, Minutes: 5},
		{Name: "large", Params: map[string]string{"count": "100", "rate": "50/s"}, Minutes: 30},
		{Name: "as-is", Params: map[string]string{}, Minutes: 10},
	}
	if diff := cmp.Diff(want, s.Sizes); diff != "" {
		t.Error(diff)
	}
	if s.Params[0].Value != "10" {
		t.Errorf("listing sizes changed a parameter: %+v", s.Params[0])
	}
}
