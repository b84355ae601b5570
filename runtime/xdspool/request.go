package xdspool

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
)

// request is one discovery request, of either protocol.
type request struct {
	url      string
	add, del []string // names; in SotW add is all that is asked for
	held     []held   // delta: what the client holds from an earlier stream
	nonce    string   // of the response that is ACKed or refused
	accepted string   // SotW: the version of the last response that was not refused
	refused  string   // why the response is refused; "" is an ACK
}

// held is a resource and its version.
type held struct{ name, version string }

// Field numbers of envoy.service.discovery.v3.DeltaDiscoveryRequest and DiscoveryRequest, and of google.rpc.Status.
const (
	deltaNode        = 1
	deltaTypeURL     = 2
	deltaSubscribe   = 3
	deltaUnsubscribe = 4
	deltaVersions    = 5
	deltaNonce       = 6
	deltaError       = 7

	stateVersion = 1
	stateNode    = 2
	stateNames   = 3
	stateTypeURL = 4
	stateNonce   = 5
	stateError   = 6

	mapKey        = 1
	mapValue      = 2
	statusCode    = 1
	statusMessage = 2
)

// appendDelta appends r as a DeltaDiscoveryRequest. node is an encoded Node, or nil.
func (r *request) appendDelta(b, node []byte) []byte {
	b = appendBytes(b, deltaNode, node)
	b = appendString(b, deltaTypeURL, r.url)
	b = appendStrings(b, deltaSubscribe, r.add)
	b = appendStrings(b, deltaUnsubscribe, r.del)
	for _, h := range r.held {
		n := protowire.SizeTag(mapKey) + protowire.SizeBytes(len(h.name)) + protowire.SizeTag(mapValue) + protowire.SizeBytes(len(h.version))
		b = protowire.AppendVarint(protowire.AppendTag(b, deltaVersions, protowire.BytesType), uint64(n))
		// Both are written when empty too: a map entry is its key.
		b = protowire.AppendString(protowire.AppendTag(b, mapKey, protowire.BytesType), h.name)
		b = protowire.AppendString(protowire.AppendTag(b, mapValue, protowire.BytesType), h.version)
	}
	b = appendString(b, deltaNonce, r.nonce)
	return appendBytes(b, deltaError, r.status())
}

// appendState appends r as a DiscoveryRequest.
func (r *request) appendState(b, node []byte) []byte {
	b = appendString(b, stateVersion, r.accepted)
	b = appendBytes(b, stateNode, node)
	b = appendStrings(b, stateNames, r.add)
	b = appendString(b, stateTypeURL, r.url)
	b = appendString(b, stateNonce, r.nonce)
	return appendBytes(b, stateError, r.status())
}

// status is the google.rpc.Status of a refusal, with the code that Envoy gives (Envoy
// source/extensions/config_subscription/grpc, error_detail).
func (r *request) status() []byte {
	if r.refused == "" {
		return nil
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, statusCode, protowire.VarintType), uint64(codes.Internal))
	return appendString(b, statusMessage, r.refused)
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendStrings(b []byte, num protowire.Number, all []string) []byte {
	for _, s := range all {
		b = protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
	}
	return b
}
