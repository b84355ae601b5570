// Package replay records what istiod sends one proxy, and serves it to thousands.
//
// With istiod out of the way, what a load generator itself costs can be measured: the answers are real, and the server
// spends next to nothing on them. See BenchmarkSync and its neighbours.
package replay

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/plscript/plscript/runtime/xdspool/oracle"
)

// Recording is what one client was sent: one response a type, in the order in which the types came.
type Recording struct {
	Answers []*discovery.DeltaDiscoveryResponse
}

// Record fetches everything that a client as r describes would get, and keeps it.
func Record(ctx context.Context, r oracle.Request) (*Recording, error) {
	rec := &Recording{}
	r.Tap = rec.add
	if _, err := oracle.Fetch(ctx, r); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return rec, nil
}

// add takes in a response. A type that came in several becomes one; a resource that came again counts once.
func (r *Recording) add(resp *discovery.DeltaDiscoveryResponse) {
	resp = proto.CloneOf(resp)
	resp.Nonce = ""
	for _, have := range r.Answers {
		if have.TypeUrl != resp.TypeUrl {
			continue
		}
		index := map[string]int{}
		for i, res := range have.Resources {
			index[res.Name] = i
		}
		for _, res := range resp.Resources {
			if i, ok := index[res.Name]; ok {
				have.Resources[i] = res
			} else {
				have.Resources = append(have.Resources, res)
			}
		}
		return
	}
	r.Answers = append(r.Answers, resp)
}

// Answer returns the answer of a type, or nil.
func (r *Recording) Answer(url string) *discovery.DeltaDiscoveryResponse {
	for _, a := range r.Answers {
		if a.TypeUrl == url {
			return a
		}
	}
	return nil
}

// Write writes the recording: gzip of its responses, each behind its length.
func (r *Recording) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	for _, a := range r.Answers {
		if _, err := protodelim.MarshalTo(z, a); err != nil {
			return fmt.Errorf("recording: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// maxAnswer bounds what Read takes for one response, in bytes.
const maxAnswer = 1 << 30

// Read reads what Write has written.
func Read(r io.Reader) (*Recording, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	in := bufio.NewReader(z)
	out := &Recording{}
	for {
		a := &discovery.DeltaDiscoveryResponse{}
		err := protodelim.UnmarshalOptions{MaxSize: maxAnswer}.UnmarshalFrom(in, a)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
		out.Answers = append(out.Answers, a)
	}
}
