package lang

import (
	"bytes"
	"cmp"
	stderrors "errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/plscript/plscript/lang/ir"
)

// evaluation reports an error of CUE's in the user's own values. at is where the field with the error stands; an
// expression that cannot be computed is placed itself. near is what a name that does not exist may have been meant for.
// An error that follows from one already reported is only counted.
func (f *found) evaluation(files *files, err error, path string, at ir.Pos, near string) {
	list := errors.Errors(err)
	if len(list) == 0 {
		return
	}
	e := list[0]
	if f.follows(e) || f.sameCycle(e) {
		f.count++
		f.lost++
		return
	}
	d, refused := files.refusedBySchema(list)
	if !refused {
		d = explain(e)
	}
	d.Pos, d.Path = at, path
	anywhere := false // in the value, which is more than the name
	if d.Code == ir.CodeUnknownName {
		anywhere = near == ""
		d.Suggestion = cmp.Or(near, files.nearMember(e))
	}
	if !at.IsValid() || path == "" || d.Code == ir.CodeEvaluation || anywhere {
		if p := files.errorPlace(e); p.IsValid() {
			d.Pos = p
		}
	}
	f.add(d)
}

// sameCycle reports whether e says that a value holds itself, as an error before it did. Every value that holds that one
// says so again, each with the path where the cycle closes.
func (f *found) sameCycle(e errors.Error) bool {
	if !strings.HasPrefix(message(e), "structural cycle") {
		return false
	}
	path := strings.Join(e.Path(), ".")
	if f.cycles[path] {
		return true
	}
	if f.cycles == nil {
		f.cycles = map[string]bool{}
	}
	f.cycles[path] = true
	return false
}

// nearMember is what the field that e does not find was probably meant for: a parameter, or a definition of a package.
func (f *files) nearMember(e errors.Error) string {
	_, args := e.Msg()
	if len(args) == 0 {
		return ""
	}
	name := strings.Trim(fmt.Sprint(args[0]), `"`)
	var candidates []string
	for _, known := range f.names() {
		if param, ok := strings.CutPrefix(known, "params."); ok {
			candidates = append(candidates, param)
		}
	}
	for _, src := range f.main {
		for spec := range src.syntax.ImportSpecs() {
			candidates = append(candidates, f.importedNames(importName(spec))...)
		}
	}
	return ir.Nearest(name, candidates)
}

// errorPlace is the first of an error's places that is in the user's files.
func (f *files) errorPlace(e errors.Error) ir.Pos {
	for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		if f.owns(place(p)) {
			return place(p)
		}
	}
	return ir.Pos{}
}

// explain finds the code and the words for an error of CUE's.
func explain(e errors.Error) ir.Diagnostic {
	format, args := e.Msg()
	d := ir.Diagnostic{Code: ir.CodeEvaluation, Message: plain(e)}
	switch {
	case strings.HasPrefix(format, "conflicting values") && len(args) >= 2:
		sides := []string{short(fmt.Sprint(args[0])), short(fmt.Sprint(args[1]))}
		slices.Sort(sides)
		d.Code, d.Message = ir.CodeContradiction, fmt.Sprintf("contradicts itself: it cannot be both %s and %s", sides[0], sides[1])
	case strings.HasPrefix(format, "incompatible list lengths"), strings.HasPrefix(format, "invalid value"):
		d.Code = ir.CodeContradiction
	case strings.HasPrefix(format, "invalid interpolation"):
		d.Code = ir.CodeNoValue
	case format == "field not allowed":
		d.Code = ir.CodeUnknownField
		if p := e.Path(); len(p) > 0 {
			d.Message = fmt.Sprintf("unknown field %q", p[len(p)-1])
		}
	case strings.HasPrefix(format, "undefined field") && len(args) > 0:
		d.Code, d.Message = ir.CodeUnknownName, fmt.Sprintf("there is no field %q", strings.Trim(fmt.Sprint(args[0]), `"`))
	}
	return d
}

// follows reports whether e has the same cause as an error before it, and remembers its cause.
func (f *found) follows(e errors.Error) bool {
	if f.fromPoison(e) {
		return true
	}
	places := e.InputPositions()
	if len(places) == 0 {
		places = []token.Pos{e.Position()}
	}
	var cause []string
	for _, p := range places {
		if p.IsValid() {
			cause = append(cause, place(p).String())
		}
	}
	if len(cause) == 0 {
		return false
	}
	slices.Sort(cause)
	key := strings.Join(slices.Compact(cause), " ")
	if f.causes[key] {
		return true
	}
	if f.causes == nil {
		f.causes = map[string]bool{}
	}
	f.causes[key] = true
	return false
}

// fromPoison reports whether e comes from an expression that is already reported and taken out.
func (f *found) fromPoison(err error) bool {
	for _, e := range errors.Errors(err) {
		if len(f.poisoned) > 0 && strings.Contains(message(e), "_|_ literal") {
			return true // it quotes what was put in the place of an unknown name
		}
		for _, p := range append(e.InputPositions(), e.Position()) {
			if f.poisoned[place(p)] {
				return true
			}
		}
	}
	return false
}

// syntaxError reports what keeps a file from being parsed: the first error only, since the parser stumbles over most
// mistakes more than once.
func (f *found) syntaxError(err error, content []byte) {
	list := errors.Errors(err)
	slices.SortStableFunc(list, func(a, b errors.Error) int { return a.Position().Compare(b.Position()) })
	for _, e := range list {
		f.add(ir.Diagnostic{Pos: place(e.Position()), Code: ir.CodeSyntax, Message: plain(e) + quotes(content, e.Position())})
		return
	}
}

var yamlItem = regexp.MustCompile(`(?m)^ *- [A-Za-z]+:( |$)`)

var numberBefore, wordAt = regexp.MustCompile(`[0-9]$`), regexp.MustCompile(`^[A-Za-z]`)

// quotes is a hint for what probably stands at the place of a syntax error: a text without quotes, or quotes in a text.
func quotes(content []byte, at token.Pos) string {
	if !at.IsValid() || at.Offset() > len(content) {
		return ""
	}
	before, after := content[:at.Offset()], content[at.Offset():]
	switch {
	case yamlItem.Match(content):
		return "; this looks like YAML, and a scenario is CUE: [...] is a list, {...} a struct, and texts have quotes"
	case !wordAt.Match(after):
		return ""
	case numberBefore.Match(before):
		return `; a duration, a rate or a name needs quotes, like "10s"`
	case bytes.HasSuffix(before, []byte(`"`)):
		return `; inside of "..." use single quotes, like "app.name == 'web'"`
	}
	return ""
}

// phrases turn CUE's messages into ones that need no knowledge of CUE.
var phrases = []struct {
	pattern *regexp.Regexp
	words   string
}{
	{regexp.MustCompile(`^invalid value (.*) \(out of bound (.*)\)$`), "contradicts itself: $1 is not $2"},
	{regexp.MustCompile(`^(\d+) errors in empty disjunction:?$`), "fits none of the values that it may have"},
	{regexp.MustCompile(`^explicit error \(_\|_ literal\) in source$`), "is marked as an error with _|_"},
	{regexp.MustCompile(`^(cycle error|cycle with field: .*|structural cycle.*)$`), "depends on itself"},
	{regexp.MustCompile(`^failed arithmetic: `), ""},
	{regexp.MustCompile(`^incompatible list lengths \((\d+) and (\d+)\)$`), "contradicts itself: a list cannot have both $1 and $2 elements"},
	{regexp.MustCompile(`^invalid operands (.*) and (.*) to '(.*)' \(type (.*) and (.*)\)$`), "cannot compute $1 $3 $2: a $4 and a $5"},
	{regexp.MustCompile(`^invalid interpolation.*$`), "the text has a part without a value"},
	{regexp.MustCompile(`^non-concrete value (.*) in operand.*$`), "needs a value to compute with, not only a type ($1)"},
	{regexp.MustCompile(`non-concrete value (\S+)$`), "$1 is only a type"},
	{regexp.MustCompile(`^reference "(.*)" not found$`), `unknown name "$1"`},
	{regexp.MustCompile(`^cannot call non-function (.*?)( \(type .*\))?$`), "$1 is not a function"},
	{regexp.MustCompile(`^invalid operand (.*) \('(.*)' requires concrete value\)$`), "$1 is only a type, which $2 cannot compute with"},
	{regexp.MustCompile(`^cannot range over (.*) \(found (.*), want list or struct\)$`), "for needs a list or a struct, and $1 is a $2"},
	{regexp.MustCompile(`^cannot use (.*) \(type (.*)\) as (.*) in argument (\d+) to (.*)$`), "$5 takes a $3 as argument $4, and $1 is a $2"},
	{regexp.MustCompile(`^expected operand, found`), "expected a value, found"},
	{regexp.MustCompile(`^preference mark not allowed at this position$`), "* marks a default, which only a choice like *1 | int can have"},
	{regexp.MustCompile(`\b[aA] (int\b)`), "an $1"},
	{regexp.MustCompile(`'EOF'`), "the end of the file"},
	{regexp.MustCompile(`found '(?:IDENT|STRING|INT|FLOAT|INTERPOLATION)' (\S+)`), "found $1"},
	{regexp.MustCompile(`'ATTRIBUTE'`), "an attribute"},
	{regexp.MustCompile(`'IDENT'`), "a name"},
	{regexp.MustCompile(`'STRING'`), "a string"},
	{regexp.MustCompile(`'_\|_' _\|_`), "_|_"},
	{regexp.MustCompile(`^expected label or ':'`), "expected a field's name or ':'"},
	{regexp.MustCompile(`^missing ',' in (struct|list) literal$`), "missing a comma or a closing bracket"},
	{regexp.MustCompile(`^illegal character NUL$`), "this is not a text file"},
}

// message is CUE's, with that of the error inside of it, if any.
func message(e errors.Error) string {
	format, args := e.Msg()
	text := strings.TrimRight(fmt.Sprintf(format, args...), ": ")
	switch inner := stderrors.Unwrap(e).(type) {
	case nil:
		return text
	case errors.Error:
		return text + ": " + message(inner)
	default:
		return text + ": " + inner.Error()
	}
}

// plain is the message of CUE's error in the user's words, one line.
func plain(err error) string {
	text := err.Error()
	if list := errors.Errors(err); len(list) > 0 {
		text = message(list[0])
	}
	for _, p := range phrases {
		text = p.pattern.ReplaceAllString(text, p.words)
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")
	if text == "" {
		return "cannot be evaluated"
	}
	return text
}
