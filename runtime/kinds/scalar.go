package kinds

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

func (c *checker) text(v any, path string) {
	if _, ok := v.(string); !ok {
		c.mismatch(path, "a string", v)
	}
}

func (c *checker) truth(v any, path string) {
	if _, ok := v.(bool); !ok {
		c.mismatch(path, "a bool", v)
	}
}

// base64 checks what JSON has in place of bytes, as in the data of a Secret.
func (c *checker) base64(v any, path string) {
	const want = "base64 text"
	s, ok := v.(string)
	if !ok {
		c.mismatch(path, want, v)
		return
	}
	if _, err := base64.StdEncoding.DecodeString(s); err != nil {
		c.refused(path, want, v)
	}
}

// decimal checks a floating-point number of the given bits.
func (c *checker) decimal(v any, path string, bits int) {
	n, ok := numberOf(v)
	switch {
	case !ok || math.IsNaN(n.float) || math.IsInf(n.float, 0):
		c.mismatch(path, "a number", v)
	case bits == 32 && math.Abs(n.float) > math.MaxFloat32:
		c.refused(path, "a number of 32 bits", v)
	}
}

// integer checks an integer of the given bits.
func (c *checker) integer(v any, path string, bits int, signed bool) {
	n, ok := numberOf(v)
	switch {
	case !ok || !n.whole && !n.huge():
		c.mismatch(path, "an int", v)
	case signed && !n.fitsSigned(bits):
		c.refused(path, fmt.Sprintf("an int between %d and %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits)), v)
	case !signed && !n.fitsUnsigned(bits):
		c.refused(path, fmt.Sprintf("an int between 0 and %d", uint64(math.MaxUint64)>>(64-bits)), v)
	}
}

// number is a number of any of Go's types. Its magnitude is exact where whole is true.
type number struct {
	float     float64
	magnitude uint64
	negative  bool
	whole     bool // an integer that 64 bits hold
}

func (n number) fitsSigned(bits int) bool {
	limit := uint64(1) << (bits - 1)
	return n.whole && (n.magnitude < limit || n.negative && n.magnitude == limit)
}

func (n number) fitsUnsigned(bits int) bool {
	return n.whole && (!n.negative || n.magnitude == 0) && n.magnitude <= math.MaxUint64>>(64-bits)
}

// huge reports whether n is a finite number beyond 64 bits.
func (n number) huge() bool { return math.Abs(n.float) >= 1<<64 && !math.IsInf(n.float, 0) }

// numberOf reads v as a number, if it is one.
func numberOf(v any) (number, bool) {
	switch v := v.(type) {
	case int64:
		return signed(v), true
	case float64:
		return floating(v), true
	case json.Number:
		return parsed(v)
	}
	switch r := reflect.ValueOf(v); {
	case v == nil:
		return number{}, false
	case r.CanInt():
		return signed(r.Int()), true
	case r.CanUint():
		return number{float: float64(r.Uint()), magnitude: r.Uint(), whole: true}, true
	case r.CanFloat():
		return floating(r.Float()), true
	}
	return number{}, false
}

func signed(i int64) number {
	n := number{float: float64(i), magnitude: uint64(i), whole: true}
	if i < 0 {
		n.negative, n.magnitude = true, -n.magnitude
	}
	return n
}

func floating(f float64) number {
	n := number{float: f, negative: f < 0}
	if f == math.Trunc(f) && math.Abs(f) < 1<<64 {
		n.whole, n.magnitude = true, uint64(math.Abs(f))
	}
	return n
}

func parsed(s json.Number) (number, bool) {
	if i, err := strconv.ParseInt(s.String(), 10, 64); err == nil {
		return signed(i), true
	}
	if u, err := strconv.ParseUint(s.String(), 10, 64); err == nil {
		return number{float: float64(u), magnitude: u, whole: true}, true
	}
	f, err := s.Float64()
	return number{float: f, negative: f < 0}, err == nil
}
