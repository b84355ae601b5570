package xdspool

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of envoy.service.discovery.v3.DeltaDiscoveryResponse and Resource.
const (
	responseResources = 2
	responseTypeURL   = 4
	responseNonce     = 5
	responseRemoved   = 6

	resourceVersion = 1
	resourceBody    = 2
	resourceName    = 3
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

// response is a scanned delta response; it may be used again.
type response struct {
	typeURL, nonce []byte
	resources      []resource
	removed        [][]byte
	bytes          int // of all bodies
}

// scan reads b, a DeltaDiscoveryResponse, without copying. After an error the type URL and nonce may still be set, as
// far as they were read, so that the response can be refused by its nonce.
func (r *response) scan(b []byte) error {
	*r = response{resources: r.resources[:0], removed: r.removed[:0]}
	var broken error
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("delta response: %w", err)
		}
		b = rest
		if f.kind != protowire.BytesType {
			continue
		}
		switch f.num {
		case responseTypeURL:
			r.typeURL = f.bytes
		case responseNonce:
			r.nonce = f.bytes
		case responseRemoved:
			if !utf8.Valid(f.bytes) {
				broken = errors.New("delta response: a removed name is not UTF-8")
			}
			r.removed = append(r.removed, f.bytes)
		case responseResources:
			if len(r.resources) == maxResources {
				return fmt.Errorf("delta response: more than %d resources", maxResources)
			}
			// A broken resource does not hide the nonce, which comes after it on the wire.
			if err := r.addResource(f.bytes); err != nil {
				broken = err
			}
		}
	}
	if !utf8.Valid(r.nonce) {
		r.nonce = nil
		return errors.New("delta response: the nonce is not UTF-8")
	}
	return broken
}

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
		}
	}
	if len(res.name) == 0 {
		return errors.New("delta response: a resource has no name")
	}
	if !utf8.Valid(res.name) || !utf8.Valid(res.version) {
		return fmt.Errorf("resource %q: name or version is not UTF-8", res.name)
	}
	res.sum = xxhash.Sum64(res.body)
	r.bytes += len(res.body)
	r.resources = append(r.resources, res)
	return nil
}
