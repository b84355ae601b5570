package etcd

import (
	"bytes"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// generated is the transaction as etcd's own messages encode it.
func generated(t *testing.T, txn Txn) []byte {
	t.Helper()
	req := &pb.TxnRequest{}
	for _, v := range txn.If {
		req.Compare = append(req.Compare, &pb.Compare{
			Key: []byte(v.Key), Target: pb.Compare_MOD, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_ModRevision{ModRevision: v.Rev},
		})
	}
	for _, p := range txn.Put {
		put := &pb.PutRequest{Key: []byte(p.Key), Value: p.Value}
		req.Success = append(req.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
	}
	for _, key := range txn.Delete {
		del := &pb.DeleteRangeRequest{Key: []byte(key)}
		req.Success = append(req.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: del}})
	}
	raw, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestTransactionsAreEtcdsOwn: byte for byte what etcd's generated messages are.
func TestTransactionsAreEtcdsOwn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for name, txn := range map[string]Txn{
		"nothing":    {},
		"a new key":  {If: []Version{{Key: "/a"}}, Put: []Item{{Key: "/a", Value: []byte("v")}}},
		"conditions": {If: []Version{{Key: "/a", Rev: 1}, {Key: "/" + long, Rev: 1 << 40}}, Put: []Item{{Key: "/" + long, Value: bytes.Repeat([]byte{0, 255}, 70_000)}, {Key: "/b", Value: []byte("w")}}},
		"a delete":   {If: []Version{{Key: "/a", Rev: 300}}, Delete: []string{"/a", long}},
	} {
		if want, got := generated(t, txn), txn.append(nil); !bytes.Equal(want, got) {
			t.Errorf("%s: etcd has it as\n%.200x, this as\n%.200x", name, want, got)
		}
	}
}

func TestAnswersAreRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer pb.TxnResponse
		want   commit
	}{
		"done": {pb.TxnResponse{
			Header: &pb.ResponseHeader{ClusterId: 1 << 63, MemberId: 2, Revision: 1 << 40, RaftTerm: 3}, Succeeded: true,
			Responses: []*pb.ResponseOp{{Response: &pb.ResponseOp_ResponsePut{ResponsePut: &pb.PutResponse{Header: &pb.ResponseHeader{Revision: 9}}}}},
		}, commit{1 << 40, true}},
		"not done":  {pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 5}}, commit{5, false}},
		"no header": {pb.TxnResponse{Succeeded: true}, commit{0, true}},
	} {
		raw, err := tt.answer.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readCommit(raw); err != nil || got != tt.want {
			t.Errorf("%s: read %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
	for _, broken := range [][]byte{{0x0a}, {0x0a, 5, 1}, {0x80}, {0x10}, {0x0a, 1, 0x80}} {
		if _, err := readCommit(broken); err == nil {
			t.Errorf("%x is read as an answer", broken)
		}
	}
}
