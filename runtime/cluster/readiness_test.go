package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAwaitReady(t *testing.T) {
	inWorldOf(t, func(c *Config) { c.Kubelet = Kubelet{StartP50: 3 * time.Second} }, func(w *world) {
		ctx := w.t.Context()
		w.create(testNode("n1"), testNamespace())
		done := make(chan error, 1)
		go func() { done <- w.c.AwaitReady(ctx, []string{"ns/a", "ns/b", "ns/c"}) }()
		w.settle()
		w.create(testPod("a", "10.1.0.5"), testPod("b", "10.1.0.6"), testPod("c", "10.1.0.7"))
		w.delete(testPod("c", "")) // before it was ready
		time.Sleep(2 * time.Second)
		w.settle()
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		time.Sleep(2 * time.Second)
		w.settle()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.c.AwaitReady(ctx, []string{"ns/a", "ns/b"}); err != nil {
			t.Error(err)
		}

		over, cancel := context.WithCancelCause(ctx)
		cancel(errors.New("out of time"))
		err := w.c.AwaitReady(over, []string{"ns/a", "ns/none"})
		if err == nil || !strings.Contains(err.Error(), "1 of 2 pods are not ready: out of time") {
			t.Errorf("error %v", err)
		}
		if n := len(w.c.state.awaited); n > 0 {
			t.Errorf("%d pods are still waited for", n)
		}
	})
}
