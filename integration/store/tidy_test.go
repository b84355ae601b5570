package store

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// TestChurnDoesNotFillTheStore changes an object again and again until its history would take many times what the store
// is allowed, and looks at how large that becomes. The object is there in the end as it was written last.
func TestChurnDoesNotFillTheStore(t *testing.T) {
	const (
		id      = "tidied"
		changes = 1200
		size    = 200 << 10 // of the object, which a change writes anew
		mib     = 1 << 20
	)
	box, cfg := open(t)
	usage := usageOf(t, box.EtcdEndpoint())
	before := usage()
	store := storeOf(box, true)
	store.Tidying = apiwriter.Tidying{Every: 200 * time.Millisecond, CompactAbove: before.DbSizeInUse + 16*mib, DefragmentAbove: before.DbSize + 64*mib}
	w, err := apiwriter.New(apiwriter.Config{REST: cfg, RunID: id, Scenario: "s", Store: store, Journal: io.Discard, Clock: runtimetest.Clock{}})
	if err != nil {
		t.Fatal(err)
	}
	defer clean(t, cfg, id)
	ctx, cancel := context.WithCancel(t.Context())
	tidied := make(chan struct{})
	go func() {
		defer close(tidied)
		w.Tidy(ctx)
	}()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: id},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	verb, largest := runtime.VerbCreate, int64(0)
	for i := range changes {
		slice.Annotations = map[string]string{"example.com/filler": strings.Repeat(string(rune('a'+i%26)), size)}
		done := make(chan runtime.Result, 1)
		if err := w.Submit(t.Context(), runtime.Op{Verb: verb, Object: slice, Setup: true, Done: func(r runtime.Result) { done <- r }}); err != nil {
			t.Fatal(err)
		}
		r := <-done
		next, ok := r.Object.(*discoveryv1.EndpointSlice)
		if r.Err != nil || !ok {
			t.Fatalf("change %d: %+v", i, r)
		}
		slice, verb = next.DeepCopy(), runtime.VerbUpdate
		if i%100 == 0 {
			largest = max(largest, usage().DbSize)
		}
	}
	// All but the last history is dropped when it is looked at next.
	for tries := 0; usage().DbSizeInUse > store.Tidying.CompactAbove+32*mib; tries++ {
		if tries > 200 {
			t.Fatal("history is not dropped")
		}
		time.Sleep(100 * time.Millisecond) // etcd does not say when it has
	}
	cancel()
	<-tidied
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if grown, written := largest-before.DbSize, int64(changes*size); grown > written*2/3 {
		t.Errorf("the file grew by %d MiB while %d MiB were written", grown/mib, written/mib)
	}
	live, err := clientOf(t, cfg).DiscoveryV1().EndpointSlices("default").Get(t.Context(), id, metav1.GetOptions{})
	if err != nil || live.ResourceVersion != slice.ResourceVersion || live.Annotations["example.com/filler"] != slice.Annotations["example.com/filler"] {
		t.Errorf("the object is not as it was written last: %v", err)
	}
}

// usageOf returns what asks an etcd for its size.
func usageOf(t *testing.T, endpoint string) func() *pb.StatusResponse {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	admin := pb.NewMaintenanceClient(conn)
	return func() *pb.StatusResponse {
		s, err := admin.Status(t.Context(), &pb.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}
