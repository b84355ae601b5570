package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

const method = "/etcdserverpb.KV/Range"

// kv answers a Range with one value: the key, repeated as often as the limit says. Keys have meanings, see Range.
type kv struct {
	pb.UnimplementedKVServer
	now, most atomic.Int32  // calls under way
	begun     chan struct{} // receives a token for each "hang"
	left      chan struct{} // receives a token when a "hang" has been cancelled
	finish    chan struct{} // lets a "wait" go on
}

func (k *kv) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	n := k.now.Add(1)
	defer k.now.Add(-1)
	for m := k.most.Load(); n > m && !k.most.CompareAndSwap(m, n); m = k.most.Load() {
	}
	switch key := string(r.Key); {
	case key == "hang":
		k.begun <- struct{}{}
		<-ctx.Done()
		k.left <- struct{}{}
	case key == "wait":
		k.begun <- struct{}{}
		<-k.finish
	case strings.HasPrefix(key, "error "):
		return nil, status.Error(codes.FailedPrecondition, key)
	}
	return &pb.RangeResponse{Kvs: []*mvccpb.KeyValue{{Value: bytes.Repeat(r.Key, int(r.Limit))}}}, nil
}

func newKV() *kv {
	return &kv{begun: make(chan struct{}, 100), left: make(chan struct{}, 100), finish: make(chan struct{})}
}

// serve runs a server of grpc-go on a socket, until stop.
func serve(t *testing.T, socket string, k *kv, opts ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv, done := grpc.NewServer(append([]grpc.ServerOption{grpc.MaxRecvMsgSize(1 << 30), grpc.MaxSendMsgSize(1 << 30)}, opts...)...), make(chan error, 1)
	pb.RegisterKVServer(srv, k)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return srv
}

// socketIn is a path that is short enough to be a socket's.
func socketIn(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "s")
}

func client(t *testing.T, socket string) *Client {
	t.Helper()
	c := New(socket)
	t.Cleanup(c.Close)
	return c
}

// ask has a server repeat key n times.
func ask(ctx context.Context, c *Client, key string, n int) error {
	req, err := (&pb.RangeRequest{Key: []byte(key), Limit: int64(n)}).Marshal()
	if err != nil {
		return err
	}
	before := []byte("before")
	answer, err := c.Call(ctx, method, req, before)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(answer, before)
	if !ok {
		return fmt.Errorf("the answer is not behind what was in its buffer: %.40q", answer)
	}
	var res pb.RangeResponse
	if err := res.Unmarshal(rest); err != nil {
		return err
	}
	if got := res.Kvs[0].Value; !bytes.Equal(got, bytes.Repeat([]byte(key), n)) {
		return fmt.Errorf("asked for %d times %.40q, got %d bytes: %.40q", n, key, len(got), got)
	}
	return nil
}

func code(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); err == nil || got != want {
		t.Errorf("%v: code %s, want %s", err, got, want)
	}
}

func TestManyCallersGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]grpc.ServerOption{
		"defaults":     nil,
		"one a time":   {grpc.MaxConcurrentStreams(1)},
		"some streams": {grpc.MaxConcurrentStreams(7)},
		"windows":      {grpc.StaticStreamWindowSize(1 << 16), grpc.StaticConnWindowSize(1 << 16)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, socket := newKV(), socketIn(t)
			serve(t, socket, k, opts...)
			c := client(t, socket)
			var wg sync.WaitGroup
			for caller := range 32 {
				wg.Go(func() {
					for i := range 40 {
						key := fmt.Sprintf("caller %d call %d", caller, i)
						if i%10 == 9 { // a large request beside the small ones
							key = strings.Repeat(strconv.Itoa(caller%10), 30_000*i/9)
						}
						if err := ask(t.Context(), c, key, 1+i%3); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if most := k.most.Load(); name == "one a time" && most > 1 || name == "some streams" && most > 7 {
				t.Errorf("%d calls at a time", most)
			}
		})
	}
}

func TestLargeMessages(t *testing.T) {
	t.Parallel()
	socket := socketIn(t)
	serve(t, socket, newKV())
	c := client(t, socket)
	for _, size := range []int{0, 1, grpcwire.DefaultMaxFrame - grpcwire.MessageHeader, grpcwire.DefaultMaxFrame, grpcwire.DefaultWindow, 1 << 20, 4 << 20} {
		if err := ask(t.Context(), c, strings.Repeat("x", size), 1); err != nil {
			t.Errorf("%d bytes both ways: %v", size, err)
		}
	}
	if err := ask(t.Context(), c, "0123456789", 1<<20); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	socket := socketIn(t)
	serve(t, socket, newKV())
	c := client(t, socket)
	for range 2 { // the second time the tables know the fields
		err := ask(t.Context(), c, "error 100 % of größe", 1)
		code(t, err, codes.FailedPrecondition)
		if s := status.Convert(err); s.Message() != "error 100 % of größe" {
			t.Errorf("the message is %q", s.Message())
		}
		_, err = c.Call(t.Context(), "/etcdserverpb.KV/Nothing", nil, nil)
		code(t, err, codes.Unimplemented)
		_, err = c.Call(t.Context(), method, []byte{0xff}, nil)
		code(t, err, codes.Internal)
	}
	if err := ask(t.Context(), c, "still there", 1); err != nil {
		t.Error(err)
	}
}

func TestACancelledCallIsTakenBack(t *testing.T) {
	t.Parallel()
	k, socket := newKV(), socketIn(t)
	serve(t, socket, k)
	c := client(t, socket)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- ask(ctx, c, "hang", 1) }()
	<-k.begun
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	<-k.left // the server was told
	if err := ask(t.Context(), c, "another", 1); err != nil {
		t.Error(err)
	}
	if err := ask(ctx, c, "too late", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose context had ended ended with %v", err)
	}
}

func TestCallsWaitForAServer(t *testing.T) {
	t.Parallel()
	socket := socketIn(t)
	c := client(t, socket)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ask(ctx, c, "nobody", 1); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a server: %v", err)
	}
	ended := make(chan error)
	go func() { ended <- ask(t.Context(), c, "patient", 1) }()
	serve(t, socket, newKV())
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAServerThatEnds(t *testing.T) {
	t.Parallel()
	k, socket := newKV(), socketIn(t)
	first := serve(t, socket, k)
	c := client(t, socket)
	ended := make(chan error)
	go func() { ended <- ask(t.Context(), c, "hang", 1) }()
	<-k.begun
	go func() { ended <- ask(t.Context(), c, "wait", 1) }()
	<-k.begun
	first.Stop() // cuts the connection
	for range 2 {
		code(t, <-ended, codes.Unavailable)
	}
	close(k.finish)
	serve(t, socket, newKV())
	if err := ask(t.Context(), c, "the next server", 1); err != nil {
		t.Error(err)
	}
}

func TestAServerThatLeaves(t *testing.T) {
	t.Parallel()
	k, socket := newKV(), socketIn(t)
	first := serve(t, socket, k)
	c := client(t, socket)
	ended := make(chan error)
	go func() { ended <- ask(t.Context(), c, "wait", 1) }()
	<-k.begun
	stopped := make(chan struct{})
	go func() {
		first.GracefulStop() // GOAWAY, and the end when the last call has
		close(stopped)
	}()
	for cn := current(c); !over(cn); { // polled until the GOAWAY has come, as a connection tells nobody
		time.Sleep(time.Millisecond)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	serve(t, socket, newKV())
	if err := ask(t.Context(), c, "the next server", 1); err != nil {
		t.Error(err)
	}
	close(k.finish)
	if err := <-ended; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	<-stopped
}

// TestCloseWhileAServerLeaves: a call on a connection that takes no more ends too.
func TestCloseWhileAServerLeaves(t *testing.T) {
	t.Parallel()
	k, socket := newKV(), socketIn(t)
	srv := serve(t, socket, k)
	c := New(socket)
	ended := make(chan error)
	go func() { ended <- ask(t.Context(), c, "hang", 1) }()
	<-k.begun
	stopped := make(chan struct{})
	go func() {
		srv.GracefulStop()
		close(stopped)
	}()
	for cn := current(c); cn != nil; cn = current(c) { // polled until the GOAWAY has come, as a connection tells nobody
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the call under way: %v", err)
	}
	<-stopped
}

// current is the connection that the client has.
func current(c *Client) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

func TestClose(t *testing.T) {
	t.Parallel()
	k, socket := newKV(), socketIn(t)
	serve(t, socket, k)
	c, alone := New(socket), New(filepath.Join(filepath.Dir(socket), "nobody"))
	ended := make(chan error)
	go func() { ended <- ask(t.Context(), c, "hang", 1) }()
	<-k.begun
	go func() { ended <- ask(t.Context(), alone, "no server", 1) }()
	c.Close()
	c.Close()
	alone.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("a call under way: %v", err)
		}
	}
	if err := ask(t.Context(), c, "late", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("a call of a closed client: %v", err)
	}
}

// over reports whether the connection takes no more calls.
func over(cn *conn) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.done()
}
