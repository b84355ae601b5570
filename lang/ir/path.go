package ir

import (
	"strconv"
	"unicode"
)

// JoinPath is the path of the field name of the struct at path: spec.hosts, metadata.labels["app.kubernetes.io/name"].
// Names that are no identifiers are quoted, as CUE has them.
func JoinPath(path, name string) string {
	switch {
	case !isIdentifier(name):
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && r != '$' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}
