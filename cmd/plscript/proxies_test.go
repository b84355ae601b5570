package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

func TestPinned(t *testing.T) {
	t.Parallel()
	all := []string{"a:1", "b:2"}
	for _, c := range []struct {
		pin  ir.Pin
		want []string
	}{
		{ir.Pin{}, all},
		{ir.Pin{Number: 1, Set: true}, []string{"b:2"}},
		{ir.Pin{Address: "c:3"}, []string{"c:3"}},
	} {
		got, err := pinned(all, c.pin)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v", c.pin, got, err)
		}
	}
	_, err := pinned(all, ir.Pin{Number: 2, Set: true})
	if coded := (targetError{}); !errors.As(err, &coded) || coded.ExitCode() != runtime.ExitTarget {
		t.Errorf("a number beyond the last: %v", err)
	}
}

func TestNamesAreLookedUp(t *testing.T) {
	t.Parallel()
	got, err := lookupIstiods(t.Context(), "127.0.0.1")
	if err != nil || !slices.Equal(got, []string{"127.0.0.1"}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := lookupIstiods(t.Context(), "no such name"); err == nil {
		t.Error("a name that cannot be was found")
	}
}
