// Package etcd is the little of etcd that the store backend needs: reads, and transactions on single objects.
//
// It speaks etcd's own gRPC API over one connection. etcd's client library would add a logger, a balancer and a retry layer
// to a connection that has one end on this machine.
package etcd

import (
	"context"
	"fmt"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/plscript/plscript/runtime/apiwriter/internal/rpc"
)

// Methods of etcd's services (etcd, api/etcdserverpb/rpc.proto).
const (
	methodRange      = "/etcdserverpb.KV/Range"
	methodTxn        = "/etcdserverpb.KV/Txn"
	methodCompact    = "/etcdserverpb.KV/Compact"
	methodStatus     = "/etcdserverpb.Maintenance/Status"
	methodDefragment = "/etcdserverpb.Maintenance/Defragment"
)

// Item is one stored object.
type Item struct {
	Key   string
	Value []byte
	Rev   int64 // the revision of its last change: the object's resourceVersion
}

// Version is a condition on a key: that its last change was at Rev. Rev 0 means that there is no such key.
type Version struct {
	Key string
	Rev int64
}

// Txn is a set of changes that are made together, if all conditions hold.
type Txn struct {
	If     []Version
	Put    []Item // Rev is not read
	Delete []string
}

// Client is a connection to an etcd that listens on a Unix socket. It is safe for concurrent use.
type Client struct {
	rpc *rpc.Client
}

// Dial returns a client for an endpoint as gRPC names it ("unix:///run/etcd.sock"). It connects with the first request.
func Dial(endpoint string) (*Client, error) {
	socket, ok := strings.CutPrefix(endpoint, "unix://")
	if !ok || socket == "" {
		return nil, fmt.Errorf("etcd: %q is not the address of a Unix socket", endpoint)
	}
	return &Client{rpc: rpc.New(socket)}, nil
}

// Close ends the connection. Requests under way fail.
func (c *Client) Close() { c.rpc.Close() }

// Get returns the object under key; false if there is none.
func (c *Client) Get(ctx context.Context, key string) (Item, bool, error) {
	items, err := c.get(ctx, &pb.RangeRequest{Key: []byte(key)})
	if err != nil || len(items) == 0 {
		return Item{}, false, err
	}
	return items[0], true, nil
}

// List returns the objects whose keys begin with prefix, which must not be empty.
func (c *Client) List(ctx context.Context, prefix string) ([]Item, error) {
	end := []byte(prefix)
	end[len(end)-1]++ // a prefix ends in "/": the next byte is "0"
	return c.get(ctx, &pb.RangeRequest{Key: []byte(prefix), RangeEnd: end})
}

func (c *Client) get(ctx context.Context, req *pb.RangeRequest) ([]Item, error) {
	var res pb.RangeResponse
	if err := c.call(ctx, methodRange, req, &res); err != nil {
		return nil, fmt.Errorf("etcd: read %s: %w", req.Key, err)
	}
	items := make([]Item, len(res.Kvs))
	for i, kv := range res.Kvs {
		items[i] = Item{Key: string(kv.Key), Value: kv.Value, Rev: kv.ModRevision}
	}
	return items, nil
}

// exchange is what a transaction is written to, and its answer.
type exchange struct{ request, answer []byte }

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

// keepRequest is the largest buffer that is kept for the next transaction, in bytes.
const keepRequest = 64 << 10

// Commit makes the changes and returns their revision; false if a condition does not hold and nothing was changed. It keeps
// nothing of t.
func (c *Client) Commit(ctx context.Context, t *Txn) (rev int64, ok bool, err error) {
	x := exchanges.Get().(*exchange)
	x.request = t.append(x.request[:0])
	x.answer, err = c.rpc.Call(ctx, methodTxn, x.request, x.answer[:0])
	var out commit
	if err == nil {
		out, err = readCommit(x.answer)
	}
	if cap(x.request) <= keepRequest {
		exchanges.Put(x)
	}
	if err != nil {
		return 0, false, fmt.Errorf("etcd: %w", err)
	}
	return out.rev, out.succeeded, nil
}

// Usage is how much an etcd holds.
type Usage struct {
	Rev   int64 // the last revision
	File  int64 // bytes that its file takes, which count against its quota
	InUse int64 // bytes of them that are not free
}

// Usage returns how much etcd holds now.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	var s pb.StatusResponse
	if err := c.call(ctx, methodStatus, &pb.StatusRequest{}, &s); err != nil {
		return Usage{}, fmt.Errorf("etcd: status: %w", err)
	}
	return Usage{Rev: s.Header.GetRevision(), File: s.DbSize, InUse: s.DbSizeInUse}, nil
}

// Compact frees what was replaced or deleted before rev.
func (c *Client) Compact(ctx context.Context, rev int64) error {
	if err := c.call(ctx, methodCompact, &pb.CompactionRequest{Revision: rev}, &pb.CompactionResponse{}); err != nil {
		return fmt.Errorf("etcd: compact: %w", err)
	}
	return nil
}

// Defragment shrinks the file to what is in use. Meanwhile etcd answers nobody.
func (c *Client) Defragment(ctx context.Context) error {
	if err := c.call(ctx, methodDefragment, &pb.DefragmentRequest{}, &pb.DefragmentResponse{}); err != nil {
		return fmt.Errorf("etcd: defragment: %w", err)
	}
	return nil
}

// call makes a call with etcd's own messages: those that are rare.
func (c *Client) call(ctx context.Context, method string, req interface{ Marshal() ([]byte, error) }, res interface{ Unmarshal([]byte) error }) error {
	raw, err := req.Marshal()
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	answer, err := c.rpc.Call(ctx, method, raw, nil)
	if err != nil {
		return err
	}
	if err := res.Unmarshal(answer); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}
