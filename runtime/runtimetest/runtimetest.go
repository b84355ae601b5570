// Package runtimetest has stand-ins for the parts of a run, for tests of logic: a writer that records what it is given
// and a list of proxies. Its clock is the time package's, which testing/synctest turns into a virtual one.
package runtimetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// Clock is the time package as a [runtime.Clock].
type Clock struct{}

// Now implements [runtime.Clock].
func (Clock) Now() time.Time { return time.Now() }

// Sleep implements [runtime.Clock].
func (c Clock) Sleep(ctx context.Context, d time.Duration) error {
	ch, stop := c.After(d)
	defer stop()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// After implements [runtime.Clock].
func (Clock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// Write is one recorded write.
type Write struct {
	Verb            runtime.Verb
	Group, Kind     string
	Namespace, Name string
	Scheduled       time.Time
	Object          runtime.Object
}

// Writer records writes and answers them after Latency, or with the error of Fail. The zero value is ready.
type Writer struct {
	Latency time.Duration
	Fail    func(runtime.Op) error          // nil: nothing fails
	Answer  func(runtime.Op) runtime.Object // what the api-server makes of the object; nil: it stays as it is

	mu     sync.Mutex
	writes []Write
}

// Submit implements [runtime.Writer].
func (w *Writer) Submit(ctx context.Context, op runtime.Op) error {
	err := ctx.Err()
	if err == nil && w.Fail != nil {
		err = w.Fail(op)
	}
	r := runtime.Result{Fate: runtime.FateFailed, Err: err}
	if err == nil {
		r = runtime.Result{Fate: runtime.FateDone, Object: op.Object, Attempts: 1, Latency: w.Latency}
		if w.Answer != nil {
			r.Object = w.Answer(op)
		}
		w.record(op)
	}
	go func() {
		time.Sleep(w.Latency)
		op.Done(r)
	}()
	return err
}

func (w *Writer) record(op runtime.Op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gk := GroupKind(op.Object)
	w.writes = append(w.writes, Write{
		op.Verb, gk.Group, gk.Kind, op.Object.GetNamespace(), op.Object.GetName(), op.Scheduled, op.Object,
	})
}

// Writes returns what was written, in order.
func (w *Writer) Writes() []Write {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.writes)
}

// Counts returns how many writes there were, as a plan counts them.
func (w *Writer) Counts() map[runtime.WriteKey]int64 {
	out := map[runtime.WriteKey]int64{}
	for _, x := range w.Writes() {
		out[runtime.WriteKey{Verb: x.Verb, Group: x.Group, Kind: x.Kind}]++
	}
	return out
}

// Proxies records which proxies are wanted. The zero value is ready.
type Proxies struct {
	mu     sync.Mutex
	wanted map[string]runtime.Proxy
	opened map[runtime.ProxyClass]int64
	broken []string
	asked  []runtime.Demand
	csrs   int64
}

// Want implements [runtime.Proxies].
func (p *Proxies) Want(x runtime.Proxy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted == nil {
		p.wanted, p.opened = map[string]runtime.Proxy{}, map[runtime.ProxyClass]int64{}
	}
	p.wanted[x.Key()] = x
	p.opened[x.Class]++
	if x.CSR {
		p.csrs++
	}
}

// Forget implements [runtime.Proxies].
func (p *Proxies) Forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wanted, key)
}

// Disconnect implements [runtime.Proxies].
func (p *Proxies) Disconnect(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = append(p.broken, key)
}

// Demand implements [runtime.Demands].
func (p *Proxies) Demand(d runtime.Demand, _ time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, d)
}

// Demanded returns what ztunnels were to ask for, in order.
func (p *Proxies) Demanded() []runtime.Demand {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Disconnected returns the proxies whose streams were broken, in order.
func (p *Proxies) Disconnected() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.broken)
}

// Certified returns how many of the proxies wanted so far ask for a certificate.
func (p *Proxies) Certified() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.csrs
}

// Wanted returns the proxies wanted now, by key.
func (p *Proxies) Wanted() map[string]runtime.Proxy {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]runtime.Proxy{}
	for k, v := range p.wanted {
		out[k] = v
	}
	return out
}

// Opened returns how many proxies have been wanted so far, by class.
func (p *Proxies) Opened() map[runtime.ProxyClass]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[runtime.ProxyClass]int64{}
	for k, v := range p.opened {
		out[k] = v
	}
	return out
}

// Meter gives fixed readings that a test may change.
type Meter struct {
	Signal *runtime.Signal

	mu     sync.Mutex
	values runtime.Readings
}

// Set changes a reading and wakes whoever waits.
func (m *Meter) Set(path string, v any) {
	m.mu.Lock()
	if m.values == nil {
		m.values = runtime.Readings{}
	}
	m.values[path] = v
	m.mu.Unlock()
	if m.Signal != nil {
		m.Signal.Notify()
	}
}

// Read implements [runtime.Meter].
func (m *Meter) Read(r runtime.Readings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, v := range m.values {
		r[k] = v
	}
}

// Scenario builds a checked scenario of one-step phases, each after the one before, for tests that need no file.
func Scenario(bodies ...runtime.Action) *ir.Scenario {
	s := &ir.Scenario{File: "test.cue", Name: "test", Seed: 1, MaxPending: 20000}
	for i, b := range bodies {
		name := string(rune('a' + i))
		ph := &ir.Phase{Name: name, Path: "phases[" + string(rune('0'+i)) + "]"}
		if i > 0 {
			ph.After = []string{string(rune('a' + i - 1))}
		}
		ph.Steps = []*ir.Step{{Name: name, Kind: "test", Path: ph.Path + ".steps[0]", OnError: ir.OnErrorFail, Body: b, Pos: ir.Pos{File: "test.cue", Line: i + 1, Col: 1}}}
		s.Phases = append(s.Phases, ph)
	}
	return s
}
