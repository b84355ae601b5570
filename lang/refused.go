package lang

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/errors"

	"github.com/plscript/plscript/lang/ir"
)

// clash is one error of CUE's between a value of the user's and one of the schema's.
type clash struct {
	want, got         string // as CUE prints them
	wantKind, gotKind string // "" if they are of the same kind
}

// clashOf reads an error whose first two places are those of the two values that exclude each other, one of which has to
// be the user's.
func (f *files) clashOf(e errors.Error) (clash, bool) {
	format, args := e.Msg()
	at := e.InputPositions()
	if !strings.HasPrefix(format, "conflicting values") || len(args) < 2 || len(at) < 2 {
		return clash{}, false
	}
	user := 0
	if f.owns(place(at[1])) {
		user = 1
	}
	if f.owns(place(at[0])) == f.owns(place(at[1])) {
		return clash{}, false
	}
	c := clash{want: fmt.Sprint(args[1-user]), got: short(fmt.Sprint(args[user]))}
	if len(args) == 4 {
		c.wantKind, c.gotKind = fmt.Sprint(args[3-user]), fmt.Sprint(args[2+user])
	}
	return c, true
}

// refusedBySchema says of a value that none of the schema's alternatives takes what they are, as [mismatch] does where
// the definition is known; false if the errors are not of that kind.
func (f *files) refusedBySchema(list []errors.Error) (ir.Diagnostic, bool) {
	var kinds, values []string
	var last clash
	for _, e := range list {
		c, ok := f.clashOf(e)
		switch {
		case !ok:
			continue
		case c.wantKind != "":
			kinds = appendNew(kinds, withArticle(c.wantKind))
		default:
			values = appendNew(values, c.want)
		}
		last = c
	}
	switch {
	case len(values) > 2:
		return choice("want one of "+strings.Join(values, ", "), values, last), true
	case len(values) > 0:
		return choice("want "+strings.Join(values, " or "), values, last), true
	case len(kinds) > 0:
		return ir.Diagnostic{Code: ir.CodeType, Message: fmt.Sprintf("want %s, got %s", strings.Join(kinds, " or "), withArticle(last.gotKind))}, true
	}
	return ir.Diagnostic{}, false
}

func choice(want string, values []string, c clash) ir.Diagnostic {
	d := ir.Diagnostic{Code: ir.CodeValue, Message: want + ", got " + c.got}
	if got, err := strconv.Unquote(c.got); err == nil {
		var names []string
		for _, v := range values {
			if name, err := strconv.Unquote(v); err == nil {
				names = append(names, name)
			}
		}
		d.Suggestion = ir.Nearest(got, names)
	}
	return d
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// withArticle puts an article before the name of a kind of CUE's.
func withArticle(kind string) string {
	switch {
	case kind == "null", kind == "bytes":
		return kind
	case strings.ContainsRune("aeiou", rune(kind[0])):
		return "an " + kind
	}
	return "a " + kind
}
