package kinds

import "fmt"

// The largest object that is checked. An api-server refuses bodies above 3 MiB (k8s.io/apiserver/pkg/server/config.go,
// MaxRequestBodyBytes); the number of values bounds the work for objects of tiny ones, and the depth the recursion.
const (
	maxDepth  = 100
	maxValues = 100_000
	maxBytes  = 3 << 20
)

// oversized returns the path at which obj exceeds a limit, and which; "" if it is within all.
func oversized(obj map[string]any) (path, why string) {
	m := measure{values: maxValues, bytes: maxBytes}
	path, why = m.value(obj, maxDepth)
	if m.exceeded() != "" {
		return "", why // a limit of the object as a whole
	}
	return trimDot(path), why
}

// measure is what is left of the limits.
type measure struct{ values, bytes int }

// value returns the path below v, as segments, at which a limit is exceeded. Paths are put together on the way back only,
// so that an object within the limits, as nearly all are, costs nothing but the visit.
func (m *measure) value(v any, depth int) (path, why string) {
	m.values--
	switch v := v.(type) {
	case string:
		m.bytes -= len(v)
	case map[string]any:
		for name, child := range v {
			m.bytes -= len(name)
			if path, why := m.child(child, depth); why != "" {
				return segment(name) + path, why
			}
		}
	case []any:
		for i, child := range v {
			if path, why := m.child(child, depth); why != "" {
				return position(i) + path, why
			}
		}
	}
	return "", m.exceeded()
}

func (m *measure) child(v any, depth int) (path, why string) {
	if depth == 0 {
		return "", fmt.Sprintf("nested more than %d levels deep", maxDepth)
	}
	return m.value(v, depth-1)
}

func (m *measure) exceeded() string {
	switch {
	case m.values < 0:
		return fmt.Sprintf("the object has more than %d values", maxValues)
	case m.bytes < 0:
		return fmt.Sprintf("the object is larger than the %d MiB that an api-server accepts", maxBytes>>20)
	}
	return ""
}
