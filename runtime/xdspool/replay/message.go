package replay

import (
	"fmt"
	"strconv"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Field numbers of envoy.service.discovery.v3.DeltaDiscoveryResponse.
const (
	responseNonce   = 5
	responseRemoved = 6
)

const secretURL = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

// answer is a recorded response, encoded once for all clients.
type answer struct {
	whole []byte
	head  []byte            // without resources
	parts map[string][]byte // the resources by name, each as a field of the response
	// silent says nothing of what does not exist, as istiod with secrets.
	silent bool
}

func newAnswer(resp *discovery.DeltaDiscoveryResponse) (*answer, error) {
	a := &answer{parts: make(map[string][]byte, len(resp.Resources)), silent: resp.TypeUrl == secretURL}
	var err error
	if a.whole, err = proto.Marshal(resp); err != nil {
		return nil, err
	}
	if a.head, err = proto.Marshal(&discovery.DeltaDiscoveryResponse{TypeUrl: resp.TypeUrl, SystemVersionInfo: resp.SystemVersionInfo}); err != nil {
		return nil, err
	}
	for _, r := range resp.Resources {
		if a.parts[r.Name], err = proto.Marshal(&discovery.DeltaDiscoveryResponse{Resources: []*discovery.Resource{r}}); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// named is the answer to a request for some resources; what was not recorded does not exist.
func (a *answer) named(names []string) message {
	if a.all(names) {
		return message{a.whole}
	}
	m := message{a.head}
	for _, n := range names {
		if part := a.parts[n]; part != nil {
			m = append(m, part)
		} else if !a.silent {
			m = append(m, protowire.AppendString(protowire.AppendTag(nil, responseRemoved, protowire.BytesType), n))
		}
	}
	return m
}

func (a *answer) all(names []string) bool {
	if len(names) != len(a.parts) {
		return false
	}
	for _, n := range names {
		if a.parts[n] == nil {
			return false
		}
	}
	return true
}

// message is an encoded response in parts, which come together on the wire only: most of it is every client's. The order of
// fields does not matter.
type message [][]byte

func nonceField(n int) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, responseNonce, protowire.BytesType), strconv.Itoa(n))
}

// codec sends messages as they are.
type codec struct{}

// Name makes the content type that of protobuf.
func (codec) Name() string { return "proto" }

// Marshal leaves the parts apart.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(message)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	var out mem.BufferSlice
	for _, part := range m {
		out = append(out, mem.SliceBuffer(part))
	}
	return out, nil
}

// Unmarshal reads requests, which are small.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("cannot receive into a %T", v)
	}
	return proto.Unmarshal(data.Materialize(), m)
}
