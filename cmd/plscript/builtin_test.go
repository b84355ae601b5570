package main

import (
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/cmd/plscript/builtin"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
)

// TestShortForms: the flags of each short command are parameters of its scenario, and its help names their defaults.
func TestShortForms(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, cmd := range (&system{getenv: func(string) string { return "" }}).app().Commands {
		in, err := builtinInput(builtinPrefix + cmd.Name)
		if err != nil || !strings.Contains(cmd.Description, "plscript show "+cmd.Name) {
			continue
		}
		params, ds := lang.Params(in)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		defaults := map[string]ir.Param{}
		for _, p := range params {
			defaults[p.Name] = p
		}
		for _, f := range cmd.Flags {
			doc, ok := f.(cli.DocGenerationFlag)
			p, isParam := defaults[camelCase(f.Names()[0])]
			if !ok || !isParam {
				continue
			}
			tried++
			if got, want := shown(doc.GetDefaultText()), shown(p.Default); got != want && !strings.Contains(got, " ") { // else it is in words
				t.Errorf("%s --%s: the help says default %q, the scenario has %q", cmd.Name, f.Names()[0], got, want)
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d flags were looked at", tried)
	}
}

// shown is a default as the help of a flag says it: 1m0s for "1m".
func shown(value string) string {
	value = strings.Trim(value, `"`)
	if d, err := time.ParseDuration(value); err == nil && value != "0" {
		return d.String()
	}
	return value
}

// TestOpenEnded: what is held until somebody has seen enough ends well when it is interrupted, and what has an end does not.
func TestOpenEnded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"adsc": true, "impersonate": true, "prober": false} {
		l, ds, err := loadWith(t.Context(), builtinPrefix+name, settings{})
		if err != nil || len(ds) > 0 {
			t.Fatal(err, ds)
		}
		if l.scenario.OpenEnded != want {
			t.Errorf("%s: open-ended %v", name, l.scenario.OpenEnded)
		}
	}
}

// TestBuiltins: every built-in scenario is called as its file, and says what it is for.
func TestBuiltins(t *testing.T) {
	t.Parallel()
	if len(builtin.Names()) < 3 {
		t.Fatalf("only %q are built in", builtin.Names())
	}
	for _, name := range builtin.Names() {
		in, err := builtinInput(builtinPrefix + name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := builtinText(name)
		if err != nil || !strings.Contains(string(text), "\tname:        \""+name+"\"") || !strings.Contains(string(text), "description: ") {
			t.Errorf("%s: %v: it lacks its name or a description", name, err)
		}
		if params, ds := lang.Params(in); len(ds) > 0 || len(params) == 0 {
			t.Errorf("%s: parameters %v, %v", name, params, ds)
		}
	}
}
