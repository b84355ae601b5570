package xdspool

import (
	"encoding/binary"
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
	sum           uint64 // xxhash of body
}

// response is a received response; it may be used again. Reading it goes in two steps: scan finds what every response is
// looked at for, and parse the resources, which is needed only if no other client has had the same before.
type response struct {
	state          bool // SotW: it is all there is of its type, and not what has changed
	typeURL, nonce []byte
	version        []byte // SotW
	sum            uint64 // of all resources and removals
	count, gone    int    // how many there are
	wire           []byte

	resources []resource
	removed   [][]byte
	aliases   [][]byte // of all resources
	bytes     int      // of all bodies
}

// scan reads the outermost fields of b without copying. After an error the type URL and nonce may still be set, as far
// as they were read, so that the response can be refused by its nonce.
func (r *response) scan(b []byte, state bool) error {
	*r = response{resources: r.resources[:0], removed: r.removed[:0], aliases: r.aliases[:0], wire: b, state: state}
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("response: %w", err)
		}
		b = rest
		if f.kind != protowire.BytesType {
			continue
		}
		switch f.num {
		case responseVersion:
			r.version = f.bytes
		case responseTypeURL:
			r.typeURL = f.bytes
		case responseNonce:
			r.nonce = f.bytes
		case responseRemoved:
			r.gone++
			r.mix(f)
		case responseResources:
			if r.count++; r.count > maxResources {
				return fmt.Errorf("response: more than %d resources", maxResources)
			}
			r.mix(f)
		}
	}
	if !utf8.Valid(r.nonce) || !utf8.Valid(r.version) {
		r.nonce = nil
		return errors.New("response: the nonce or version is not UTF-8")
	}
	return nil
}

// mix adds a resource or removal to the sum.
func (r *response) mix(f field) {
	var b [17]byte
	binary.LittleEndian.PutUint64(b[:], r.sum)
	binary.LittleEndian.PutUint64(b[8:], xxhash.Sum64(f.bytes))
	b[16] = byte(f.num)
	r.sum = xxhash.Sum64(b[:])
}

// parse finds the resources and removals.
func (r *response) parse() error {
	return eachField(r.wire, func(f field) error {
		switch {
		case f.kind != protowire.BytesType:
		case f.num == responseRemoved && !r.state:
			if !utf8.Valid(f.bytes) {
				return errors.New("response: a removed name is not UTF-8")
			}
			r.removed = append(r.removed, f.bytes)
		case f.num == responseResources && r.state:
			return r.addBody(f.bytes)
		case f.num == responseResources:
			return r.addResource(f.bytes)
		}
		return nil
	})
}

// addResource adds a resource of a delta response.
func (r *response) addResource(b []byte) error {
	var res resource
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("resource %q: %w", res.name, err)
		}
		b = rest
		if f.kind != protowire.BytesType {
			continue
		}
		switch f.num {
		case resourceName:
			res.name = f.bytes
		case resourceVersion:
			res.version = f.bytes
		case resourceBody:
			res.body = f.bytes
		case resourceAliases:
			r.aliases = append(r.aliases, f.bytes)
		}
	}
	if len(res.name) == 0 {
		return errors.New("response: a resource has no name")
	}
	return r.add(res)
}

// addBody adds a resource of a SotW response, which is an Any alone. The name is its message's first field in all types
// but the name table's, of which there is one.
func (r *response) addBody(b []byte) error {
	value, err := message(b, anyValue)
	if err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	const ownName = 1
	name, err := message(value, ownName)
	if err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	if string(r.typeURL) == nds.url() {
		name = nil
	}
	return r.add(resource{name: name, body: b})
}

func (r *response) add(res resource) error {
	if !utf8.Valid(res.name) || !utf8.Valid(res.version) {
		return fmt.Errorf("resource %q: name or version is not UTF-8", res.name)
	}
	res.sum = xxhash.Sum64(res.body)
	r.bytes += len(res.body)
	r.resources = append(r.resources, res)
	return nil
}
