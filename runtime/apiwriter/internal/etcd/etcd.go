// Package etcd is the little of etcd that the store backend needs: reads, and transactions on single objects.
//
// It speaks etcd's own gRPC API. etcd's client library would add a logger, a balancer and a retry layer to a connection
// that has one end on this machine.
package etcd

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// connections share the requests. Two keep a lock of one from being the limit, and more cost more wake-ups than they save.
const connections = 2

// window is how many bytes of answers may be under way. A fixed one spares the pings by which gRPC would find its own.
const window = 1 << 20

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

// Client is a connection to an etcd that listens in plaintext. It is safe for concurrent use.
type Client struct {
	conns []*grpc.ClientConn
	kv    []pb.KVClient
	admin pb.MaintenanceClient
	turn  atomic.Uint64
}

// Dial returns a client for an endpoint as gRPC names it ("unix:///run/etcd.sock"). It connects with the first request.
func Dial(endpoint string) (*Client, error) {
	c := &Client{}
	for i := range connections {
		conn, err := grpc.NewClient(endpoint,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			// Two clients of equal configuration must not share a connection, and a list has no useful bound.
			grpc.WithUserAgent(fmt.Sprintf("plscript-store-%d", i)),
			// What a call would otherwise keep for a second try, look up or measure on its way: the writer tries again by
			// itself, and the other end of the connection is on this machine.
			grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0),
			grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.WaitForReady(true)))
		if err != nil {
			return nil, fmt.Errorf("etcd: %w", err)
		}
		c.conns, c.kv = append(c.conns, conn), append(c.kv, pb.NewKVClient(conn))
	}
	c.admin = pb.NewMaintenanceClient(c.conns[0])
	return c, nil
}

// Close ends the connections. Requests under way fail.
func (c *Client) Close() {
	for _, conn := range c.conns {
		_ = conn.Close() // it can only have been closed before
	}
}

// next is the connection whose turn it is.
func (c *Client) next() int {
	return int(c.turn.Add(1) % connections)
}

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
	res, err := c.kv[c.next()].Range(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("etcd: read %s: %w", req.Key, err)
	}
	items := make([]Item, len(res.Kvs))
	for i, kv := range res.Kvs {
		items[i] = Item{Key: string(kv.Key), Value: kv.Value, Rev: kv.ModRevision}
	}
	return items, nil
}

// Commit makes the changes and returns their revision; false if a condition does not hold and nothing was changed.
func (c *Client) Commit(ctx context.Context, t Txn) (rev int64, ok bool, err error) {
	var out commit
	if err := c.conns[c.next()].Invoke(ctx, txnMethod, &t, &out, grpc.ForceCodecV2(wire{})); err != nil {
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
	s, err := c.admin.Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return Usage{}, fmt.Errorf("etcd: status: %w", err)
	}
	return Usage{Rev: s.Header.Revision, File: s.DbSize, InUse: s.DbSizeInUse}, nil
}

// Compact frees what was replaced or deleted before rev.
func (c *Client) Compact(ctx context.Context, rev int64) error {
	if _, err := c.kv[c.next()].Compact(ctx, &pb.CompactionRequest{Revision: rev}); err != nil {
		return fmt.Errorf("etcd: compact: %w", err)
	}
	return nil
}

// Defragment shrinks the file to what is in use. Meanwhile etcd answers nobody.
func (c *Client) Defragment(ctx context.Context) error {
	if _, err := c.admin.Defragment(ctx, &pb.DefragmentRequest{}); err != nil {
		return fmt.Errorf("etcd: defragment: %w", err)
	}
	return nil
}
