package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSectionsTakeTheirOwnPlace(t *testing.T) {
	t.Parallel()
	p := parse("# Page\n\nHead.\n\n## One\n\n1\n\n## Two\n\n### Inside\n\n2\n")
	for _, s := range parse("\n## Two\n\nnew\n\n## Three\n\n3\n").sections {
		p.set(s)
	}
	want := "# Page\n\nHead.\n\n## One\n\n1\n\n## Two\n\nnew\n\n## Three\n\n3\n"
	if d := cmp.Diff(want, p.String()); d != "" {
		t.Error(d)
	}
	again := parse(p.String())
	if d := cmp.Diff(want, again.String()); d != "" {
		t.Error("parsed again:", d)
	}
}
