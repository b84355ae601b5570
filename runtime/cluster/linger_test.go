package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// slowWriter carries out a write after a time, unless its context ends before, as the real one does.
type slowWriter struct {
	took         time.Duration
	done, failed atomic.Int32
}

func (w *slowWriter) Submit(ctx context.Context, op runtime.Op) error {
	go func() {
		res, ended := runtime.Result{Object: op.Object, Fate: runtime.FateDone}, &w.done
		select {
		case <-time.After(w.took):
		case <-ctx.Done():
			res, ended = runtime.Result{Fate: runtime.FateFailed, Err: ctx.Err()}, &w.failed
		}
		ended.Add(1)
		if op.Done != nil {
			op.Done(res)
		}
	}()
	return nil
}

// TestLastWritesEnd: what is under way at the end of a run is carried out, but not waited for as long as it likes.
func TestLastWritesEnd(t *testing.T) {
	for name, c := range map[string]struct {
		took, end time.Duration
		done      bool
	}{
		"soon":  {300 * time.Millisecond, 300 * time.Millisecond, true},
		"never": {time.Hour, lingerFor, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, w := fake.NewClientset(testNode("n1"), testNamespace(), testPod("p", "10.1.0.5")), &slowWriter{took: c.took}
				cl, err := newCluster(Config{RunID: "r1", Writer: w, Clock: runtimetest.Clock{}}, client, client.CoreV1().Pods(metav1.NamespaceAll))
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if err := cl.Run(ctx); err != nil {
						t.Error(err)
					}
				}()
				synctest.Wait() // the pod's status is under way
				began := time.Now()
				cancel(errors.New("the run is over"))
				<-ended
				if d := time.Since(began); d != c.end {
					t.Errorf("it ended after %v, want %v", d, c.end)
				}
				synctest.Wait()
				if done, failed := w.done.Load(), w.failed.Load(); (done > 0) != c.done || (failed > 0) == c.done {
					t.Errorf("%d writes done, %d failed", done, failed)
				}
			})
		})
	}
}
