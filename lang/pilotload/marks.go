package pilotload

import (
	"strconv"
	"strings"
	"unicode"
)

// A mark stands, in the output of a Go template, for what is known only when the scenario runs. It is a character of
// Unicode's private use area, which YAML takes for an ordinary letter.
type mark rune

const (
	markName      mark = '\ue000' // .Name
	markNamespace mark = '\ue001' // .Namespace
	markNumber    mark = '\ue002' // .RandNumber

	allMarks = "\ue000\ue001\ue002"
)

// String is how a template prints the mark.
func (m mark) String() string { return string(rune(m)) }

// cel is what the mark stands for.
func (m mark) cel() string {
	switch m {
	case markName:
		return "app.name"
	case markNamespace:
		return "ns.name"
	}
	return "rand(10000) + 1"
}

// marked reports whether v is, or contains, something known only when the scenario runs.
func marked(v any) bool {
	switch v := v.(type) {
	case mark:
		return true
	case string:
		return strings.ContainsAny(v, allMarks)
	}
	return false
}

// pieces cuts s into text and marks.
func pieces(s string, text func(string), found func(mark)) {
	for s != "" {
		i := strings.IndexAny(s, allMarks)
		if i < 0 {
			text(s)
			return
		}
		if i > 0 {
			text(s[:i])
		}
		r := []rune(s[i : i+len(string(markName))])[0]
		found(mark(r))
		s = s[i+len(string(markName)):]
	}
}

// withHoles is a string of a template: s with a hole for each mark. quoted says that it was quoted in YAML, so that a
// number in it is text.
func withHoles(s string, quoted bool) string {
	if s == markNumber.String() && quoted {
		return "${string(" + markNumber.cel() + ")}"
	}
	var b strings.Builder
	pieces(s,
		func(t string) { b.WriteString(strings.ReplaceAll(t, "${", "$${")) },
		func(m mark) { b.WriteString("${" + m.cel() + "}") })
	return b.String()
}

// celText is s as a CEL expression.
func celText(s string, quoted bool) string {
	if s == markNumber.String() && !quoted {
		return markNumber.cel()
	}
	var parts []string
	pieces(s,
		func(t string) { parts = append(parts, celQuote(t)) },
		func(m mark) {
			if m == markNumber {
				parts = append(parts, "string("+m.cel()+")")
			} else {
				parts = append(parts, m.cel())
			}
		})
	if len(parts) == 0 {
		return "''"
	}
	return strings.Join(parts, " + ")
}

// celQuote is s as a CEL string literal, in single quotes as it stands inside a CUE string. Lines stay lines where
// nothing has to be escaped.
func celQuote(s string) string {
	if strings.Contains(s, "\n") && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '\'' || r == '\\' || r != '\n' && !unicode.IsPrint(r)
	}) {
		return "'''" + s + "'''"
	}
	q := strconv.Quote(s)
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	return "'" + strings.ReplaceAll(q, "'", `\'`) + "'"
}

func quote(s string) string { return strconv.Quote(s) }
