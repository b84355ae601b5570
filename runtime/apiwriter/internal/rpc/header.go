package rpc

import (
	"slices"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// Fields of every request that are in the static table of RFC 7541, as their whole encoding.
const (
	fieldPOST = 0x80 | 3
	fieldHTTP = 0x80 | 6
)

// Sizes of RFC 7541: of the static table, and of what an entry of the dynamic table counts beyond its text.
const (
	staticTable = 61
	entryCost   = 32
)

// field is one of a header block.
type field struct{ name, value string }

// Fields of every request besides its path. grpc-go's server takes none without them.
var (
	fieldAuthority = field{":authority", "localhost"}
	fieldType      = field{"content-type", "application/grpc"}
	fieldTE        = field{"te", "trailers"}
)

// table is what the server's table of header fields holds: with the second call of a method its whole header block is a few
// bytes, which name entries.
type table struct {
	fields []field // in the order they went in; the last has the lowest index
	size   int
	limit  int  // what size must not exceed
	shrunk bool // the limit is 0 now, which the next block has to say
}

// forgo has nothing kept any more. That is simpler than to track what a small table would keep.
func (t *table) forgo() {
	if t.limit > 0 {
		t.fields, t.size, t.limit, t.shrunk = nil, 0, 0, true
	}
}

// appendRequest is the header block of a call.
func (t *table) appendRequest(b []byte, method string) []byte {
	if t.shrunk {
		t.shrunk = false
		b = append(b, 0x20) // a table of size 0 (RFC 7541, 6.3)
	}
	b = append(b, fieldPOST, fieldHTTP)
	b = t.append(b, field{":path", method})
	b = t.append(b, fieldAuthority)
	b = t.append(b, fieldType)
	return t.append(b, fieldTE)
}

// append encodes f by its index, or as a literal that gets one if there is room.
func (t *table) append(b []byte, f field) []byte {
	if i := slices.Index(t.fields, f); i >= 0 {
		return append(b, 0x80|byte(staticTable+len(t.fields)-i)) // RFC 7541, 6.1
	}
	cost := len(f.name) + len(f.value) + entryCost
	if t.size+cost <= t.limit && len(t.fields) < 0x7f-staticTable-1 { // an index beyond takes a second byte
		t.size += cost
		t.fields = append(t.fields, f)
		return grpcwire.AppendField(b, grpcwire.FieldKept, f.name, f.value)
	}
	return grpcwire.AppendField(b, grpcwire.FieldNotKept, f.name, f.value)
}
