package apiwriter

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// hastyClock tells a time that passes only by waiting, and never waits.
type hastyClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *hastyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *hastyClock) pass(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func (c *hastyClock) Sleep(ctx context.Context, d time.Duration) error {
	c.pass(d)
	return ctx.Err()
}

func (c *hastyClock) After(d time.Duration) (<-chan time.Time, func()) {
	ch := make(chan time.Time, 1)
	ch <- c.pass(d)
	return ch, func() {}
}

// scriptedBackend answers as its func says and records what it was asked, in order.
type scriptedBackend struct {
	answer func(ctx context.Context, r request) error

	mu   sync.Mutex
	sent []string // "verb name"
	at   []time.Time
}

func (b *scriptedBackend) send(ctx context.Context, r request) (answer, error) {
	b.mu.Lock()
	b.sent = append(b.sent, fmt.Sprintf("%s %s", r.op.Verb, r.target.id.name))
	b.at = append(b.at, time.Now())
	b.mu.Unlock()
	if b.answer != nil {
		if err := b.answer(ctx, r); err != nil {
			return answer{}, err
		}
	}
	a := answer{resource: "pods", uid: types.UID("uid-" + r.target.id.name)}
	if r.op.Verb != runtime.VerbDelete {
		a.object = r.op.Object
		a.object.SetUID(a.uid)
	}
	return a, nil
}

func (b *scriptedBackend) log() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.sent...)
}

// startWriter runs a writer on a backend.
func startWriter(t *testing.T, b backend, adjust func(*Config)) *Writer {
	t.Helper()
	cfg := Config{REST: &rest.Config{}, RunID: "r1", Clock: runtimetest.Clock{}}
	if adjust != nil {
		adjust(&cfg)
	}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	w := start(cfg, b, newBudget(cfg.QPS, cfg.Clock), newLedger())
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
}

// fates collects how writes ended.
type fates struct {
	mu  sync.Mutex
	all []string // "name fate"
	n   map[runtime.Fate]int
	wg  sync.WaitGroup
}

func newFates() *fates { return &fates{n: map[runtime.Fate]int{}} }

// op returns a write whose end is collected.
func (f *fates) op(verb runtime.Verb, p runtime.Priority, obj runtime.Object) runtime.Op {
	f.wg.Add(1)
	name := obj.GetName()
	return runtime.Op{Verb: verb, Object: obj, Priority: p, Done: func(r runtime.Result) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all = append(f.all, fmt.Sprintf("%s %s", name, r.Fate))
		f.n[r.Fate]++
		f.wg.Done() // panics if told twice
	}}
}

func (f *fates) count(fate runtime.Fate) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n[fate]
}
