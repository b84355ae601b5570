package oracle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Tap is shown each response, and may keep it.
type Tap func(*discovery.DeltaDiscoveryResponse)

// quiet is how long nothing may come, unless a request says otherwise, until what is still missing is taken for refused.
// istiod refuses secrets so.
const quiet = 3 * time.Second

// fetcher is a delta client that asks for everything once.
type fetcher struct {
	Request
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	got    Snapshot
	asked  map[string]map[string]bool // by type URL and name: true once it has been answered
	whole  map[string]bool            // by type URL: true once the first response has come
}

// Fetch asks for everything that a client of the given node would, until it has it.
func Fetch(ctx context.Context, r Request) (Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(r.Conn).
		DeltaAggregatedResources(ctx, grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	f := &fetcher{Request: r, stream: stream, got: Snapshot{}, asked: map[string]map[string]bool{}, whole: map[string]bool{}}
	for i, url := range r.Types {
		f.whole[url] = false
		req := &discovery.DeltaDiscoveryRequest{TypeUrl: url}
		if i == 0 {
			req.Node = r.Node
		}
		if err := f.send(req); err != nil {
			return nil, err
		}
	}
	return f.got, f.run(ctx)
}

type received struct {
	resp *discovery.DeltaDiscoveryResponse
	err  error
}

// run receives until nothing is missing, or nothing comes any more.
func (f *fetcher) run(ctx context.Context) error {
	in := make(chan received)
	go func() {
		for {
			resp, err := f.stream.Recv()
			select {
			case in <- received{resp, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for !f.complete() {
		late, stop := f.Clock.After(cmp.Or(f.Quiet, quiet))
		select {
		case r := <-in:
			stop()
			if r.err != nil {
				return fmt.Errorf("fetch: %w", r.err)
			}
			if err := f.handle(r.resp); err != nil {
				return err
			}
		case <-late:
			return f.missing()
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
	}
	return nil
}

// handle takes over a response, asks for what it refers to, and ACKs it.
func (f *fetcher) handle(resp *discovery.DeltaDiscoveryResponse) error {
	if f.Tap != nil {
		f.Tap(resp)
	}
	url := resp.TypeUrl
	if _, ok := f.whole[url]; ok {
		f.whole[url] = true
	}
	if f.got[url] == nil {
		f.got[url] = map[string]uint64{}
	}
	refs := references{}
	for _, r := range resp.Resources {
		sum, err := digest(r.Resource)
		if err != nil {
			return fmt.Errorf("fetch: %s: %w", r.Name, err)
		}
		f.got[url][r.Name] = sum
		f.answered(url, r.Name)
		if err := refs.find(r.Resource); err != nil {
			return fmt.Errorf("fetch: %s: %w", r.Name, err)
		}
	}
	for _, name := range resp.RemovedResources {
		delete(f.got[url], name)
		f.answered(url, name)
	}
	for _, t := range refs.types() {
		if err := f.ask(t, refs[t]); err != nil {
			return err
		}
	}
	return f.send(&discovery.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: resp.Nonce})
}

func (f *fetcher) answered(url, name string) {
	if _, ok := f.asked[url][name]; ok {
		f.asked[url][name] = true
	}
}

// ask subscribes to those names that were not asked for before.
func (f *fetcher) ask(url string, names map[string]bool) error {
	if f.asked[url] == nil {
		f.asked[url] = map[string]bool{}
	}
	var fresh []string
	for name := range names {
		if _, ok := f.asked[url][name]; !ok {
			f.asked[url][name] = false
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	slices.Sort(fresh)
	return f.send(&discovery.DeltaDiscoveryRequest{TypeUrl: url, ResourceNamesSubscribe: fresh})
}

func (f *fetcher) send(r *discovery.DeltaDiscoveryRequest) error {
	if err := f.stream.Send(r); err != nil && !errors.Is(err, io.EOF) { // whose reason Recv tells
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

// complete reports whether all that was asked for has been answered.
func (f *fetcher) complete() bool {
	for _, done := range f.whole {
		if !done {
			return false
		}
	}
	for _, names := range f.asked {
		for _, done := range names {
			if !done {
				return false
			}
		}
	}
	return true
}

// MissingError is something that istiod has not answered. All that it has is in the snapshot, and was shown to the tap.
type MissingError struct {
	Type string // "EDS"
	Name string // "" for the type as a whole
}

func (e *MissingError) Error() string {
	return strings.TrimSpace("fetch: no answer for " + e.Type + " " + e.Name)
}

// missing is the error for what has not come, of which secrets are none.
func (f *fetcher) missing() error {
	for url, done := range f.whole {
		if !done {
			return &MissingError{Type: typeName(url)}
		}
	}
	for url, names := range f.asked {
		for name, done := range names {
			if !done && url != secretType {
				return &MissingError{typeName(url), name}
			}
		}
	}
	return nil
}

// digest is the xxhash of a resource on the wire.
func digest(a *anypb.Any) (uint64, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		return 0, err
	}
	return xxhash.Sum64(b), nil
}
