package xdspool

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// A piece is the part of a resource that istiod made of one API object. Resources say which, in a string that stands at a
// fixed depth in the piece:
//
//   - the metadata of routes, clusters and filter chains, filter_metadata["istio"].fields["config"], has the path of the
//     VirtualService or DestinationRule (Istio pilot/pkg/networking/util AddConfigInfoMetadata);
//   - a route of an HTTPRoute or GRPCRoute is named "namespace.name.rule", unless the rule has a name (Istio
//     pilot/pkg/config/kube/gateway convertHTTPRoute); then the metadata tells as well, with "~" and more behind the name;
//   - an RBAC policy is named "ns[namespace]-policy[name]-rule[n]" (Istio pilot/pkg/security/authz/builder policyName);
//   - a cluster of a ServiceEntry or Service is named "direction|port|subset|host", as its endpoints are, and ztunnel's service
//     "namespace/host" (Istio pilot/pkg/serviceregistry/ambient ServiceResourceName);
//   - the filter of a WasmPlugin is named after it, as is its configuration.
const (
	configPrefix  = "/apis/networking.istio.io/v1/namespaces/"
	configDepth   = 6 // Value, entry of fields, Struct, entry of filter_metadata, Metadata, the piece
	nameDepth     = 1 // the piece
	policyPrefix  = "ns["
	policyRule    = "-rule["
	clusterPrefix = "outbound|"
	vipPrefix     = "inbound-vip|" // a waypoint's

	// Istio pilot/pkg/model TrafficExtensionResourceNamePrefix; a WasmPlugin is made one, with a suffix.
	extensionPrefix = "extensions.istio.io/trafficextension/"
)

// maxDepth is how deep resources are looked into. Istio's are about 20 deep.
const maxDepth = 64

// identity returns what the string leaf, of a resource of type t, says of the object that a piece came of, and how deep in
// the piece it stands; 0 if it says nothing.
func identity(t typ, leaf []byte) (id []byte, depth int) {
	switch {
	case bytes.HasPrefix(leaf, []byte(configPrefix)):
		if i := bytes.IndexByte(leaf, '~'); i >= 0 {
			leaf = leaf[:i+1]
		}
		return leaf, configDepth
	case t == cds:
		if i := bytes.LastIndexByte(leaf, '|'); i >= 0 && (bytes.HasPrefix(leaf, []byte(clusterPrefix)) || bytes.HasPrefix(leaf, []byte(vipPrefix))) {
			return leaf[i:], nameDepth
		}
		return nil, 0
	case bytes.HasPrefix(leaf, []byte(extensionPrefix)):
		return leaf, nameDepth
	}
	if start := bytes.Index(leaf, []byte(policyPrefix)); start >= 0 { // which is quicker to rule out than the rule
		if end := bytes.LastIndex(leaf, []byte(policyRule)); end >= start {
			return leaf[start:end], nameDepth
		}
	}
	if i := bytes.LastIndexByte(leaf, '.'); i > 0 && i+1 < len(leaf) && leaf[i+1] >= '0' && leaf[i+1] <= '9' {
		return leaf[:i], nameDepth
	}
	return nil, 0
}

// hit is what a content has of an object.
type hit struct {
	object *object
	print  uint64  // of its pieces, whatever their order
	words  []*word // the watched words in them, each once
}

// pieceFinder looks for the pieces of watched objects. Broken bytes end the search without an error: the scanner of
// references is the one that judges a resource.
type pieceFinder struct {
	typ     typ
	objects map[string]*object
	stack   [][]byte
	hits    []hit
	seen    map[*byte]bool // the pieces, by where they begin
}

// findPieces returns what a resource, an Any in body, has of objects.
func findPieces(t typ, name, body []byte, objects map[string]*object) []hit {
	value, err := message(body, anyValue)
	if err != nil {
		return nil
	}
	f := pieceFinder{typ: t, objects: objects, seen: map[*byte]bool{}}
	if o := objects[string(name)]; o != nil && t == wads {
		f.found(o, value) // ztunnel's policies are named "namespace/name", and have one each
		return f.hits
	}
	f.message(value)
	return f.hits
}

// message looks into a message.
func (f *pieceFinder) message(b []byte) {
	if len(f.stack) == maxDepth {
		return
	}
	f.stack = append(f.stack, b)
	for len(b) > 0 {
		x, rest, err := nextField(b)
		if err != nil {
			break
		}
		b = rest
		if x.kind != protowire.BytesType || len(x.bytes) == 0 {
			continue
		}
		if !isText(x.bytes) {
			f.message(x.bytes)
			continue
		}
		f.leaf(x.bytes)
	}
	f.stack = f.stack[:len(f.stack)-1]
}

func (f *pieceFinder) leaf(s []byte) {
	id, depth := identity(f.typ, s)
	if depth == 0 || depth > len(f.stack) {
		return
	}
	o := f.objects[string(id)]
	if o == nil {
		return
	}
	piece := f.stack[len(f.stack)-depth]
	if bytes.HasPrefix(id, []byte(extensionPrefix)) {
		if discovered, err := message(piece, filterConfigDiscovery); err == nil && discovered != nil {
			return // it says only where the configuration is to be had
		}
	}
	f.found(o, piece)
}

// findNamed returns what an EDS resource, or one of ztunnel's, has of the object whose host it is of.
func (s *store) findNamed(t typ, r *resource) []hit {
	var o *object
	if i := bytes.LastIndexByte(r.name, '|'); t == eds && i >= 0 {
		if o = s.objectIDs[string(r.name[i:])]; o != nil && o.key.Kind != "ServiceEntry" {
			return nil // a Service's endpoints are its pods' affair
		}
	} else if t == wds {
		o = s.objectIDs[serviceID(string(r.name))]
	}
	value, err := message(r.body, anyValue)
	if o == nil || err != nil {
		return nil
	}
	f := pieceFinder{typ: t, seen: map[*byte]bool{}}
	f.found(o, value)
	return f.hits
}

// found notes a piece of o.
func (f *pieceFinder) found(o *object, piece []byte) {
	if len(piece) == 0 || f.seen[&piece[0]] {
		return
	}
	f.seen[&piece[0]] = true
	i := 0
	for i < len(f.hits) && f.hits[i].object != o {
		i++
	}
	if i == len(f.hits) {
		f.hits = append(f.hits, hit{object: o})
	}
	f.hits[i].print += xxhash.Sum64(piece)
	f.hits[i].words = o.wordsIn(piece, f.hits[i].words, 0)
}

// isText reports whether a field, which is not empty, is a string, as far as its bytes tell: a message nearly always has a
// tag or a length that is no printable character. One that does not is a single long field.
func isText(b []byte) bool {
	if len(b) > 1 && protowire.Type(b[0]&7) == protowire.BytesType && int(b[1]) == len(b)-2 {
		return false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// eachWord calls visit for the words of a text: its longest runs of letters, digits, dots, dashes and underscores. One
// without a letter is a word only if it is the whole text: ports and indexes are everywhere.
func eachWord[T string | []byte](text T, visit func(T)) {
	for i := 0; i < len(text); {
		start, letter := i, false
		for i < len(text) && wordByte(text[i]) {
			letter = letter || text[i] >= 'A' && text[i] != '_'
			i++
		}
		if i > start && (letter || i-start == len(text)) {
			visit(text[start:i])
		}
		i++
	}
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}
