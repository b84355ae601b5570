package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool/auth"
)

func TestReadAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []string
		want   []string
		wrong  string // part of the message; "" if it is right
	}{
		{nil, nil, ""},
		{[]string{"localhost:15010"}, []string{"localhost:15010"}, ""},
		{[]string{"a:1, b:2", "[::1]:15010"}, []string{"a:1", "b:2", "[::1]:15010"}, ""},
		{[]string{"a:1", "a:1"}, nil, "given twice"},
		{[]string{"a:1,"}, nil, `"": want HOST:PORT`},
		{[]string{""}, nil, `"": want HOST:PORT`},
		{[]string{"a:1,,b:2"}, nil, "want HOST:PORT"},
		{[]string{"a"}, nil, "want HOST:PORT"},
		{[]string{":15010"}, nil, "want HOST:PORT"},
		{[]string{"a b:1"}, nil, "want HOST:PORT"},
		{[]string{"http://a:1"}, nil, "want HOST:PORT"},
		{[]string{"::1"}, nil, "[::1]:15010"},
		{[]string{"a:0"}, nil, "1 to 65535"},
		{[]string{"a:70000"}, nil, "1 to 65535"},
		{[]string{"a:-1"}, nil, "1 to 65535"},
		{[]string{"a:http"}, nil, "1 to 65535"},
		{[]string{"a:"}, nil, "1 to 65535"},
	} {
		got, err := readAddresses("--pilot-address", c.values)
		if c.wrong == "" && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%q: %q, %v", c.values, got, err)
		}
		if coded := (&exitError{}); c.wrong != "" && (!errors.As(err, &coded) || coded.code != runtime.ExitUsage || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%q: %q, %v, want %q", c.values, got, err, c.wrong)
		}
	}
	if _, err := readAddress("--injection-address", "a:1,b:2"); err == nil {
		t.Error("two addresses are taken where one is wanted")
	}
}

// TestAuthOfSeveral: istiods that are spoken to in different ways need it said.
func TestAuthOfSeveral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode      string
		addresses string
		want      auth.Mode // "" is an error
	}{
		{"", "", auth.Plaintext},
		{"", "a:15010,b:15010", auth.Plaintext},
		{"", "a:15012,b:15012", auth.JWT},
		{"", "a:15010,b:15012", ""},
		{"mtls", "a:15010,b:15012", auth.MTLS},
		{"none", "a:15010", ""},
	} {
		var addresses []string
		if c.addresses != "" {
			addresses = strings.Split(c.addresses, ",")
		}
		if got, err := checkAuthOf(c.mode, addresses); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q at %s: %q, %v, want %q", c.mode, c.addresses, got, err, c.want)
		}
	}
}

// TestReachSeveral: one istiod that answers is enough, those that do not are named, and the first that does is the one to
// ask what one is enough for.
func TestReachSeveral(t *testing.T) {
	t.Parallel()
	one, other := startChoosy(t), startChoosy(t)
	var said bytes.Buffer
	r := &session{
		system: &system{stderr: &said},
		target: &target{xds: nobody, pilots: []string{nobody, one, other}, auth: auth.Plaintext},
	}
	if err := r.reach(t.Context()); err != nil || r.target.xds != one || !slices.Equal(r.target.addresses(), []string{nobody, one, other}) {
		t.Errorf("%v: asks %s of %q", err, r.target.xds, r.target.addresses())
	}
	if text := said.String(); !strings.HasPrefix(text, "plscript: istiod at "+nobody) || strings.Count(text, "\n") != 1 {
		t.Errorf("said %q", text)
	}
	r.target.pilots = []string{nobody}
	expect(t, r.reach(t.Context()), "nothing listens there")
}
