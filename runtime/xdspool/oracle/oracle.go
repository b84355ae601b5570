// Package oracle checks what the pool holds against what istiod would say now.
//
// A fresh client with the same identity asks for everything once, unmarshals all of it with Envoy's own types and follows
// what they refer to ([Fetch]). It shares no code with the pool, whose scanner reads a few fields off the wire: where the
// two come to different results, one of them is wrong, or istiod has lost a push. [Check] compares them for one proxy of
// each class.
package oracle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
)

// Snapshot is what a client holds: a digest of each resource's content, by type URL and name.
type Snapshot map[string]map[string]uint64

// Problem is what is wrong with a resource.
type Problem string

// The problems.
const (
	Lost         Problem = "lost"          // a fresh client gets it, and the proxy does not hold it
	Stale        Problem = "stale"         // the proxy holds another content
	NeverRemoved Problem = "never removed" // the proxy holds what a fresh client does not get
)

// Difference is one resource that a proxy does not hold as it should.
type Difference struct {
	Proxy   string // namespace/name
	Type    string // "EDS"
	Name    string
	Problem Problem
}

// Compare lists how what is held differs from what a fresh client got, sorted by type and name.
func Compare(proxy string, held, fresh Snapshot) []Difference {
	var out []Difference
	note := func(url, name string, p Problem) {
		out = append(out, Difference{Proxy: proxy, Type: typeName(url), Name: name, Problem: p})
	}
	for url, names := range fresh {
		for name, sum := range names {
			if got, ok := held[url][name]; !ok {
				note(url, name, Lost)
			} else if got != sum {
				note(url, name, Stale)
			}
		}
	}
	for url, names := range held {
		for name := range names {
			if _, ok := fresh[url][name]; !ok {
				note(url, name, NeverRemoved)
			}
		}
	}
	slices.SortFunc(out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func typeName(url string) string {
	for _, t := range runtime.XDSTypes {
		if t.URL == url {
			return t.Name
		}
	}
	return url
}

// Pool is what Check needs of a [xdspool.Pool].
type Pool interface {
	List() []xdspool.ProxyStatus
	Present(ctx context.Context, key string) (*xdspool.Presence, error)
}

// A mesh under change is never quite still: what differs is looked at again before it counts.
const (
	tries    = 5
	interval = 500 * time.Millisecond
)

// Check compares one synced proxy of each class, the first by name, with a fresh client at address. Under load changes may
// be under way; what is reported differed in each of five comparisons, half a second apart, while the proxy's side of it
// stayed the same.
func Check(ctx context.Context, pool Pool, address string, clock runtime.Clock) ([]Difference, error) {
	_, diff, err := check(ctx, pool, address, clock)
	return diff, err
}

// check is Check, and says which proxies it has compared.
func check(ctx context.Context, pool Pool, address string, clock runtime.Clock) (proxies []string, out []Difference, err error) {
	checked := map[runtime.ProxyClass]bool{}
	for _, p := range pool.List() {
		if !p.Synced || checked[p.Class] {
			continue
		}
		checked[p.Class] = true
		diff, err := checkProxy(ctx, pool, p.Key, address, clock)
		if err != nil {
			return nil, nil, fmt.Errorf("oracle: %s: %w", p.Key, err)
		}
		proxies = append(proxies, p.Key)
		out = append(out, diff...)
	}
	return proxies, out, nil
}

func checkProxy(ctx context.Context, pool Pool, key, address string, clock runtime.Clock) ([]Difference, error) {
	var lasting []Difference
	var earlier Snapshot
	for try := range tries {
		if try > 0 {
			if err := clock.Sleep(ctx, interval); err != nil {
				return nil, err
			}
		}
		before, err := pool.Present(ctx, key)
		if err != nil {
			return nil, err
		}
		fresh, err := fetchAs(ctx, before, address, clock)
		if err != nil {
			return nil, err
		}
		after, err := pool.Present(ctx, key)
		if err != nil {
			return nil, err
		}
		diff := Compare(key, after.Held, fresh)
		if try > 0 {
			diff = slices.DeleteFunc(diff, func(d Difference) bool {
				return !slices.Contains(lasting, d) || earlier.of(d) != Snapshot(after.Held).of(d)
			})
		}
		lasting, earlier = diff, after.Held
		if len(lasting) == 0 {
			break
		}
	}
	return lasting, nil
}

// of is the digest of the resource that d is about, 0 where there is none.
func (s Snapshot) of(d Difference) uint64 {
	for url, names := range s {
		if typeName(url) == d.Type {
			return names[d.Name]
		}
	}
	return 0
}

// fetchAs fetches what the present proxy would get.
func fetchAs(ctx context.Context, p *xdspool.Presence, address string, clock runtime.Clock) (Snapshot, error) {
	ctx, conn, err := Dial(ctx, address, p.Credentials)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return Fetch(ctx, Request{Conn: conn, Node: p.Node, Types: p.Types, Clock: clock})
}

// Dial makes a connection to istiod for a proxy with these credentials. Calls on it need the context that comes with it,
// which carries the proxy's token.
func Dial(ctx context.Context, address string, creds xdspool.Credentials) (context.Context, *grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if creds.TLS != nil {
		transport = credentials.NewTLS(creds.TLS)
	}
	for _, h := range creds.Header {
		ctx = metadata.AppendToOutgoingContext(ctx, h.Name, h.Value)
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(transport), grpc.WithNoProxy())
	return ctx, conn, err
}

// Request says what to fetch, and as whom.
type Request struct {
	Conn  *grpc.ClientConn
	Node  *core.Node
	Types []string // type URLs to subscribe to as a whole; the others are asked for as these refer to them
	Clock runtime.Clock
	Tap   Tap // may be nil
	// Quiet is how long nothing may come until what is missing is taken for refused; 0 means 3 s.
	Quiet time.Duration
}
