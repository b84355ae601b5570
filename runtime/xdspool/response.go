package xdspool

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of envoy.service.discovery.v3.DeltaDiscoveryResponse, DiscoveryResponse (which agrees on the first four)
// and Resource.
const (
	responseVersion   = 1
	responseResources = 2
	responseTypeURL   = 4
	responseNonce     = 5
	responseRemoved   = 6

	resourceVersion = 1
	resourceBody    = 2
	resourceName    = 3
	resourceAliases = 4
)

// maxResources bounds what one response may hold; istiod's largest (a wildcard Address answer) is one resource per
// pod and service.
const maxResources = 4 << 20

// resource is one resource of a response. All slices point into the response's buffer.
type resource struct {
	name, version []byte
	body          []byte // the Any: type URL and value
	aliases       [][]byte
	sum           uint64 // xxhash of body
}

// response is a received response; it may be used again. Reading it goes in two steps: scan finds what every response is
// looked at for, and resource looks into one of its resources, which is needed only if no client has it yet.
type response struct {
	state          bool // SotW: it is all there is of its type, and not what has changed
	typeURL, nonce []byte
	version        []byte   // SotW
	raw            [][]byte // the resources as they are on the wire
	sums           []uint64 // the xxhash of each
	removed        [][]byte
	sum            uint64 // of all resources and removals, in whatever order: istiod's is another for each proxy

	requests []request // room for what it is answered with
}

// scan reads the outermost fields of b without copying. After an error the type URL and nonce may still be set, as far
// as they were read, so that the response can be refused by its nonce.
func (r *response) scan(b []byte, state bool) error {
	*r = response{raw: r.raw[:0], sums: r.sums[:0], removed: r.removed[:0], requests: r.requests, state: state}
	var broken error
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("response: %w", err)
		}
		b = rest
		if f.kind != protowire.BytesType {
			continue
		}
		switch {
		case f.num == responseVersion:
			r.version = f.bytes
		case f.num == responseTypeURL:
			r.typeURL = f.bytes
		case f.num == responseNonce:
			r.nonce = f.bytes
		case f.num == responseRemoved && !state:
			if !utf8.Valid(f.bytes) {
				broken = errors.New("response: a removed name is not UTF-8") // which does not hide the nonce
			}
			r.removed = append(r.removed, f.bytes)
			r.mix(f)
		case f.num == responseResources:
			if len(r.raw) == maxResources {
				return fmt.Errorf("response: more than %d resources", maxResources)
			}
			r.raw = append(r.raw, f.bytes)
			r.sums = append(r.sums, r.mix(f))
		}
	}
	if !utf8.Valid(r.nonce) || !utf8.Valid(r.version) {
		r.nonce = nil
		return errors.New("response: the nonce or version is not UTF-8")
	}
	return broken
}

// mix adds a resource or removal to the sum, and returns its own.
func (r *response) mix(f field) uint64 {
	own := xxhash.Sum64(f.bytes)
	r.sum += own * (oddFactor + 2*uint64(f.num))
	return own
}

// oddFactor makes the same bytes another thing in another field or type.
const oddFactor = 0x9e3779b97f4a7c15

// resource looks into resource i.
func (r *response) resource(i int) (resource, error) {
	parse := r.deltaResource
	if r.state {
		parse = r.stateResource
	}
	res, err := parse(r.raw[i])
	if err == nil && (!utf8.Valid(res.name) || !utf8.Valid(res.version)) {
		err = fmt.Errorf("resource %q: name or version is not UTF-8", res.name)
	}
	res.sum = xxhash.Sum64(res.body)
	return res, err
}

func (r *response) deltaResource(b []byte) (resource, error) {
	var res resource
	err := eachField(b, func(f field) error {
		if f.kind != protowire.BytesType {
			return nil
		}
		switch f.num {
		case resourceName:
			res.name = f.bytes
		case resourceVersion:
			res.version = f.bytes
		case resourceBody:
			res.body = f.bytes
		case resourceAliases:
			res.aliases = append(res.aliases, f.bytes)
		}
		return nil
	})
	if err != nil {
		return res, fmt.Errorf("resource %q: %w", res.name, err)
	}
	if len(res.name) == 0 {
		return res, errors.New("response: a resource has no name")
	}
	return res, nil
}

// stateResource reads a resource of a SotW response, which is an Any alone. The name is its message's first field in all
// types but the name table's, of which there is one.
func (r *response) stateResource(b []byte) (resource, error) {
	value, err := message(b, anyValue)
	if err != nil {
		return resource{}, fmt.Errorf("resource: %w", err)
	}
	const ownName = 1
	name, err := message(value, ownName)
	if err != nil {
		return resource{}, fmt.Errorf("resource: %w", err)
	}
	if string(r.typeURL) == nds.url() {
		name = nil
	}
	return resource{name: name, body: b}, nil
}
