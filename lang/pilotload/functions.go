package pilotload

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

const tickName = "plscriptTick"

var errMarked = errors.New("this depends on what is known only when the scenario runs")

// understood reports whether a template may call a function: those of text/template that are right for marks too, and
// the commonest of Sprig, which pilot-load offers.
func understood(name string) bool {
	_, own := functions(&work{})[name]
	return own && name != tickName || slices.Contains([]string{"and", "or", "not", "print", "println"}, name)
}

// functions are those that templates may call. What would look into a mark is an error, so that nothing wrong comes out.
func functions(w *work) template.FuncMap {
	return template.FuncMap{
		tickName: func() (string, error) {
			if w.rounds++; w.rounds > maxRounds {
				return "", fmt.Errorf("its loops run more than %d times", maxRounds)
			}
			return "", nil
		},
		"default": func(fallback any, given ...any) any {
			if len(given) == 0 || empty(given[0]) {
				return fallback
			}
			return given[0]
		},
		"quote":   func(v any) string { return strconv.Quote(fmt.Sprint(v)) },
		"squote":  func(v any) string { return "'" + fmt.Sprint(v) + "'" },
		"printf":  formatted,
		"eq":      equal,
		"ne":      func(a any, b ...any) (bool, error) { is, err := equal(a, b...); return !is, err },
		"len":     length,
		"index":   index,
		"lower":   onText(strings.ToLower),
		"upper":   onText(strings.ToUpper),
		"trim":    onText(strings.TrimSpace),
		"replace": func(old, with, s string) (string, error) { return plainText(strings.ReplaceAll(s, old, with)) },
		"split": func(sep, s string) (map[string]string, error) {
			out := map[string]string{}
			for i, part := range strings.Split(s, sep) {
				out["_"+strconv.Itoa(i)] = part
			}
			_, err := plainText(s)
			return out, err
		},
		"splitList": func(sep, s string) ([]string, error) { _, err := plainText(s); return strings.Split(s, sep), err },
		"list":      func(v ...any) []any { return v },
		"join": func(sep string, list any) (string, error) {
			v := reflect.ValueOf(list)
			if v.Kind() != reflect.Slice {
				return "", fmt.Errorf("join: want a list, got %T", list)
			}
			parts := make([]string, v.Len())
			for i := range parts {
				parts[i] = fmt.Sprint(v.Index(i).Interface())
			}
			return strings.Join(parts, sep), nil
		},
	}
}

// onText makes a template function of one on texts without marks.
func onText(f func(string) string) func(string) (string, error) {
	return func(s string) (string, error) {
		if _, err := plainText(s); err != nil {
			return "", err
		}
		return f(s), nil
	}
}

func plainText(s string) (string, error) {
	if marked(s) {
		return "", errMarked
	}
	return s, nil
}

// empty is what Sprig takes for unset.
func empty(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return r.Len() == 0
	default:
		return r.IsZero()
	}
}

// plainVerbs are the formats that put a mark in as it is.
var plainVerbs = regexp.MustCompile(`^(?:[^%]|%[sv%])*$`)

func formatted(format string, args ...any) (string, error) {
	if slices.ContainsFunc(args, marked) && !plainVerbs.MatchString(format) {
		return "", errMarked
	}
	if len(format) > 1000 || widths.MatchString(format) {
		return "", errors.New("printf: the format is too long")
	}
	return fmt.Sprintf(format, args...), nil
}

// widths are those in a format that make something long of nothing.
var widths = regexp.MustCompile(`[0-9]{4,}|\*`)

func length(v any) (int, error) {
	if marked(v) {
		return 0, errMarked
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return r.Len(), nil
	}
	return 0, fmt.Errorf("len: a %T has none", v)
}

// index is an element of a list or map, and of lists and maps in it.
func index(v any, keys ...any) (any, error) {
	for _, key := range keys {
		r, k := reflect.ValueOf(v), reflect.ValueOf(key)
		switch {
		case marked(key) || marked(v):
			return nil, errMarked
		case r.Kind() == reflect.Slice && k.CanInt() && 0 <= k.Int() && k.Int() < int64(r.Len()):
			v = r.Index(int(k.Int())).Interface()
		case r.Kind() == reflect.Map && k.Kind() == reflect.String:
			if r = r.MapIndex(k); !r.IsValid() {
				return nil, nil
			}
			v = r.Interface()
		default:
			return nil, fmt.Errorf("index: there is no element %v", key)
		}
	}
	return v, nil
}

func equal(a any, bs ...any) (bool, error) {
	is := false
	for _, b := range bs {
		if marked(a) || marked(b) {
			return false, errMarked
		}
		is = is || number(a) == number(b)
	}
	return is, nil
}

// number makes integers of all types alike; what cannot be compared is like nothing.
func number(v any) any {
	switch r := reflect.ValueOf(v); {
	case !r.IsValid():
		return nil
	case r.CanInt():
		return r.Int()
	case !r.Comparable():
		return &v
	}
	return v
}
