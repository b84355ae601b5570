package etcd

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// server answers as an etcd at revision 7 that holds one object, and remembers what it was asked.
type server struct {
	pb.UnimplementedKVServer
	ranges []*pb.RangeRequest
	txns   []*pb.TxnRequest

	compacted int64
}

func (s *server) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	s.ranges = append(s.ranges, r)
	if string(r.Key) == "/none" {
		return &pb.RangeResponse{}, nil
	}
	return &pb.RangeResponse{Kvs: []*mvccpb.KeyValue{{Key: []byte("/a/b"), Value: []byte("v"), CreateRevision: 2, ModRevision: 5}}}, nil
}

func (s *server) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	s.txns = append(s.txns, r)
	return &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 7}, Succeeded: len(r.Compare) == 2}, nil
}

// keeper answers for the upkeep of the same etcd, and remembers what it was asked.
type keeper struct {
	pb.UnimplementedMaintenanceServer
	shrunk int
}

func (*keeper) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: &pb.ResponseHeader{Revision: 7}, DbSize: 100, DbSizeInUse: 40}, nil
}

func (k *keeper) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	if k.shrunk++; k.shrunk > 1 {
		return nil, status.Error(codes.ResourceExhausted, "not again")
	}
	return &pb.DefragmentResponse{}, nil
}

func (s *server) Compact(_ context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	s.compacted = r.Revision
	return &pb.CompactionResponse{}, nil
}

func dial(t *testing.T) (*Client, *server) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s, srv := &server{}, grpc.NewServer()
	pb.RegisterKVServer(srv, s)
	pb.RegisterMaintenanceServer(srv, &keeper{})
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	c, err := Dial("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		srv.Stop()
		<-done
	})
	return c, s
}

func TestReads(t *testing.T) {
	t.Parallel()
	c, s := dial(t)
	want := Item{Key: "/a/b", Value: []byte("v"), Rev: 5}
	if got, ok, err := c.Get(t.Context(), "/a/b"); err != nil || !ok || cmp.Diff(want, got) != "" {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	if _, ok, err := c.Get(t.Context(), "/none"); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if got, err := c.List(t.Context(), "/a/"); err != nil || cmp.Diff([]Item{want}, got) != "" {
		t.Errorf("%+v %v", got, err)
	}
	if r := s.ranges[2]; string(r.Key) != "/a/" || string(r.RangeEnd) != "/a0" {
		t.Errorf("the list reads from %s to %s", r.Key, r.RangeEnd)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	c, s := dial(t)
	rev, ok, err := c.Commit(t.Context(), &Txn{
		If: []Version{{Key: "/new"}, {Key: "/old", Rev: 5}}, Put: []Item{{Key: "/new", Value: []byte("v")}}, Delete: []string{"/old"},
	})
	if rev != 7 || !ok || err != nil {
		t.Errorf("%d %v %v", rev, ok, err)
	}
	r := s.txns[0]
	for i, want := range []int64{0, 5} {
		if cond := r.Compare[i]; cond.GetModRevision() != want || cond.Target != pb.Compare_MOD || cond.Result != pb.Compare_EQUAL {
			t.Errorf("condition %d: %v", i, cond)
		}
	}
	if len(r.Success) != 2 || string(r.Success[0].GetRequestPut().Key) != "/new" || string(r.Success[1].GetRequestDeleteRange().Key) != "/old" {
		t.Errorf("changes: %v", r.Success)
	}
	if _, ok, err := c.Commit(t.Context(), &Txn{}); ok || err != nil {
		t.Errorf("a condition that does not hold: %v %v", ok, err)
	}
}

func TestUpkeep(t *testing.T) {
	t.Parallel()
	c, s := dial(t)
	if got, err := c.Usage(t.Context()); err != nil || got != (Usage{Rev: 7, File: 100, InUse: 40}) {
		t.Errorf("%+v %v", got, err)
	}
	if err := c.Compact(t.Context(), 5); err != nil || s.compacted != 5 {
		t.Errorf("compacted to %d, %v", s.compacted, err)
	}
	if err := c.Defragment(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Defragment(t.Context()); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("what etcd refused ended with %v", err)
	}
}

func TestDialTakesSocketsAlone(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"127.0.0.1:2379", "unix://", "", "http://localhost"} {
		if c, err := Dial(endpoint); err == nil {
			c.Close()
			t.Errorf("%q is taken for a socket", endpoint)
		}
	}
}
