package kinds

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/plscript/plscript/lang/ir"
)

// Paths are written as those of the scenario's own fields are, so that a field's place in the file can be looked up by
// its path.

// maxKey is how much of a key a path shows. Keys of labels, the longest that are legal, have at most 317 characters.
const maxKey = 320

// join is the path of a field of the struct at path.
func join(path, name string) string { return trimDot(path + segment(name)) }

func index(path string, i int) string { return path + position(i) }

// segment is the part of a path that leads to a field of a struct.
func segment(name string) string {
	if len(name) > maxKey {
		name = name[:maxKey] + "..."
	}
	if isIdentifier(name) {
		return "." + name
	}
	return "[" + strconv.Quote(name) + "]"
}

// position is the part of a path that leads to an element of a list.
func position(i int) string { return "[" + strconv.Itoa(i) + "]" }

func trimDot(path string) string { return strings.TrimPrefix(path, ".") }

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && r != '$' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// wanted says that v is not a value that a field takes.
func wanted(want string, v any) string { return "want " + want + ", got " + show(v) }

// word names the type of a value.
func word(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a bool"
	case []any:
		return "a list"
	case map[string]any:
		return "a struct"
	default:
		n, ok := numberOf(v)
		switch {
		case !ok:
			return fmt.Sprintf("a %T", v)
		case n.whole:
			return "an int"
		case math.IsNaN(n.float) || math.IsInf(n.float, 0):
			return strconv.FormatFloat(n.float, 'g', -1, 64)
		}
		return "a float"
	}
}

// show prints a scalar for a message, cut to a readable length, and names the type of anything else.
func show(v any) string {
	const most = 60
	switch v := v.(type) {
	case string:
		if runes := []rune(v[:min(len(v), 4*most+4)]); len(runes) > most {
			return strconv.Quote(string(runes[:most])) + "..."
		}
		return strconv.Quote(v)
	case nil, []any, map[string]any:
		return word(v)
	}
	if _, ok := numberOf(v); ok {
		return fmt.Sprint(v)
	}
	return word(v)
}

// nearest returns the name that was probably meant, "" if none is near. Case, "-" and "_" do not count.
func nearest(typed string, names []string) string {
	const longest = 64 // no field, kind or version has a longer name, and the search grows with the length
	if len(typed) > longest {
		return ""
	}
	byFolded := make(map[string]string, len(names))
	for _, name := range names {
		byFolded[fold(name)] = name
	}
	if name, ok := byFolded[fold(typed)]; ok {
		if name == typed {
			return ""
		}
		return name
	}
	return byFolded[ir.Nearest(fold(typed), sortedKeys(byFolded))]
}

var folder = strings.NewReplacer("-", "", "_", "")

func fold(s string) string { return strings.ToLower(folder.Replace(s)) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
